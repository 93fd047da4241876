internal import Redis

extension Lua {
    /// `others(key, token)`: the fields of a hash that are the same hexadecimal token in upper or mixed case.
    static let otherCases = """
        local function others(key, token)
          local found = {}
          if not string.match(token, '^%x+$') then return found end
          local lower = string.lower(token)
          for _, field in ipairs(redis.call('HKEYS', key)) do
            if field ~= token and string.lower(field) == lower then found[#found + 1] = field end
          end
          return found
        end

        """

    /// `sentField(id, token)`: 16 bytes of a notification's id and 12 digits of the token's hash.
    static let sentField = """
        local function sentField(id, token) return id .. string.sub(redis.sha1hex(token), 1, 12) end

        """
}

extension Devices {
    /// KEYS: devices. ARGV: token, description, how many devices there may be. The script puts the time of the registration
    /// before the description. It answers the tokens that it removed because there were too many, or because they were the same
    /// in another case.
    static let putScript = RedisScript(
        "put", keys: 1,
        Lua.clock + Lua.otherCases + """
            local merged = others(KEYS[1], ARGV[1])
            if #merged > 0 then redis.call('HDEL', KEYS[1], unpack(merged)) end
            redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. '|' .. ARGV[2])
            local over = redis.call('HLEN', KEYS[1]) - tonumber(ARGV[3])
            if over <= 0 then return {{}, merged} end
            local all = redis.call('HGETALL', KEYS[1])
            local old = {}
            for i = 1, #all, 2 do
              if all[i] ~= ARGV[1] then
                old[#old + 1] = {all[i], tonumber(string.match(all[i + 1], '^%d+')) or 0}
              end
            end
            table.sort(old, function(a, b)
              if a[2] ~= b[2] then return a[2] < b[2] end
              return a[1] < b[1]
            end)
            local removed = {}
            for i = 1, math.min(over, #old) do
              removed[i] = old[i][1]
              redis.call('HDEL', KEYS[1], removed[i])
            end
            return {removed, merged}
            """)

    /// KEYS: devices, `sent:P:` (the prefix of the buckets). ARGV: window in ms, a notification's id or nothing.
    /// Answers token, description and whether the notification was sent there before, for each device.
    static let targetsScript = RedisScript(
        "targets", keys: 2,
        Lua.clock + Lua.sentField + """
            local all = redis.call('HGETALL', KEYS[1])
            local reply, fields = {}, {}
            for i = 1, #all, 2 do
              reply[#reply + 1] = all[i]
              reply[#reply + 1] = all[i + 1]
              reply[#reply + 1] = 0
              fields[#fields + 1] = sentField(ARGV[2], all[i])
            end
            if #fields == 0 or ARGV[2] == '' then return reply end
            -- The bucket ahead is read too: the clock may have been set back since it was written.
            local bucket = math.floor(now / tonumber(ARGV[1]))
            for at = bucket - 1, bucket + 1 do
              local known = redis.call('HMGET', KEYS[2] .. at, unpack(fields))
              for i = 1, #fields do
                if known[i] then reply[i * 3] = 1 end
              end
            end
            return reply
            """)

    /// KEYS: `sent:P:` (the prefix of the buckets). ARGV: window in ms, a notification's id, token.
    static let sentScript = RedisScript(
        "sent", keys: 1,
        Lua.clock + Lua.sentField + """
            local window = tonumber(ARGV[1])
            local bucket = math.floor(now / window)
            local key = KEYS[1] .. bucket
            redis.call('HSET', key, sentField(ARGV[2], ARGV[3]), string.format('%.0f', now))
            redis.call('PEXPIREAT', key, (bucket + 2) * window, 'NX')
            return 1
            """)

    /// KEYS: devices. ARGV: the token of an old row, and its present form, or nothing if the row is to go. Of two rows the
    /// newer stays.
    static let moveScript = RedisScript(
        "moveDevice", keys: 1,
        """
        local function at(row) return row and tonumber(string.match(row, '^%d+')) or -1 end
        local old = redis.call('HGET', KEYS[1], ARGV[1])
        if not old then return 0 end
        if ARGV[2] ~= '' and at(old) > at(redis.call('HGET', KEYS[1], ARGV[2])) then
          redis.call('HSET', KEYS[1], ARGV[2], old)
        end
        return redis.call('HDEL', KEYS[1], ARGV[1])
        """)

    /// KEYS: devices. ARGV: token. Answers the forms of the token under which there may have been a row.
    static let removeScript = RedisScript(
        "removeDevice", keys: 1,
        Lua.otherCases + """
            local forms = others(KEYS[1], ARGV[1])
            forms[#forms + 1] = ARGV[1]
            redis.call('HDEL', KEYS[1], unpack(forms))
            return forms
            """)

    /// KEYS: devices. ARGV: token, timestamp. Answers 0 if a newer registration stays.
    static let deleteOlderScript = RedisScript(
        "deleteOlder", keys: 1,
        """
        local value = redis.call('HGET', KEYS[1], ARGV[1])
        local at = value and tonumber(string.match(value, '^%d+'))
        if at and at > tonumber(ARGV[2]) then return 0 end
        redis.call('HDEL', KEYS[1], ARGV[1])
        return 1
        """)

    /// KEYS: device. ARGV: person.
    static let disownScript = RedisScript(
        "disown", keys: 1,
        """
        if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
        return 0
        """)
}

extension RedisValue {
    /// The texts of an array; empty if the value is no array.
    var texts: [String] { array?.compactMap(\.text) ?? [] }
}

extension PushTarget {
    /// From token, description and mark; a description is `<registered at>|<platform>|<environment>|<app>`.
    static func targets(_ value: RedisValue) -> [PushTarget]? {
        guard let parts = value.array, parts.count.isMultiple(of: 3) else { return nil }
        return stride(from: 0, to: parts.count, by: 3).compactMap { index in
            guard let token = parts[index].text, let value = parts[index + 1].text else { return nil }
            let fields = value.utf8.split(separator: UInt8(ascii: "|"), maxSplits: 3, omittingEmptySubsequences: false)
                .map { String(Substring($0)) }
            guard fields.count == 4, let registeredAt = Int64(fields[0]) else { return nil }
            let device = Device(
                token: token, platform: String(fields[1]), app: String(fields[3]), environment: String(fields[2]),
                registeredAt: registeredAt)
            return PushTarget(device: device, isSent: parts[index + 2].integer == 1)
        }
    }
}
