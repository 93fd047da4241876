internal import Redis

extension Lua {
    /// `count(watchers)`: connections over all instances. `leave(people, presence, connection)`: takes one watcher away and
    /// answers what was noted of it.
    fileprivate static let crowd = """
        local function count(watchers)
          local total = 0
          for _, number in ipairs(redis.call('HVALS', watchers)) do total = total + tonumber(number) end
          return total
        end
        local function leave(people, presence, connection)
          local value = redis.call('HGET', presence, connection)
          if not value then return nil end
          redis.call('HDEL', presence, connection)
          local person = string.match(value, '^[^|]*')
          if redis.call('HINCRBY', people, person, -1) <= 0 then redis.call('HDEL', people, person) end
          return value
        end
        local function set(key, instance, number)
          if tonumber(number) > 0 then redis.call('HSET', key, instance, number) else redis.call('HDEL', key, instance) end
        end

        """

    /// After `crowd`: `check(from)` fails where one of the four keys from there on is of the wrong type, before anything is
    /// written. `join(from, first)` takes watchers in: KEYS from there on are watchers, listeners, people and presence of the
    /// instance; ARGV from there on instance, its watchers, its listeners, and of each newcomer connection and `storedWatcher`.
    fileprivate static let coming = """
        local function check(from)
          for i = from, from + 3 do redis.call('HLEN', KEYS[i]) end
        end
        local function join(from, first)
          local changed = 0
          for i = first + 3, #ARGV, 2 do
            if redis.call('HSET', KEYS[from + 3], ARGV[i], ARGV[i + 1]) == 1 then
              redis.call('HINCRBY', KEYS[from + 2], string.match(ARGV[i + 1], '^[^|]*'), 1)
              changed = changed + 1
            end
          end
          set(KEYS[from], ARGV[first], ARGV[first + 1])
          set(KEYS[from + 1], ARGV[first], ARGV[first + 2])
          return {changed, count(KEYS[from]), redis.call('HKEYS', KEYS[from + 1])}
        end

        """
}

extension ChannelStreams {
    /// Appends what is new, in order, and answers for all of it.
    ///
    /// KEYS: channel, state, watchers, `channel:{c}:seen:` (the prefix of the buckets).
    /// ARGV: as `deliver` of an inbox; then id, accepted and bytes of each post.
    /// Answers epoch, instances with watchers, and for each post whether it is fresh and its offset; then the clock's time, if
    /// it is not believed.
    ///
    /// All keys are read before the first write, and the first write is an XADD, which is refused when memory is short.
    static let appendScript = RedisScript(
        "append", keys: 4,
        Lua.clock + Lua.believed + Lua.newEpoch + Lua.bucketOf + Lua.nextBucket + Lua.trimByAge + """
            local state = redis.call('HMGET', KEYS[2], 'epoch', 'offset', 'floor', 'seen', 'base', 'oldest')
            local watchers = redis.call('HKEYS', KEYS[3])
            local maxEntries, maxAge, window, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
            local epoch, offset, floor = state[1], 0, 1
            if epoch then
              offset, floor = tonumber(state[2]), tonumber(state[3])
            else
              epoch = newEpoch(KEYS[1], now)
            end
            local first = offset
            local bucket, base = tonumber(state[4]), tonumber(state[5] or 0)
            if not bucket then bucket, base = bucketOf(KEYS[4], offset, now, window) end
            local ids = {}
            for i = 6, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
            local known = redis.call('HMGET', KEYS[4] .. bucket, unpack(ids))
            local before = base > 0 and redis.call('HMGET', KEYS[4] .. bucket - 1, unpack(ids)) or {}

            local reply, marks, added = {tonumber(epoch), watchers}, {}, {}
            for i = 1, #ids do
              local old = added[ids[i]] or (first > 0 and (known[i] or before[i]))
              if not old then
                offset = offset + 1
                redis.call('XADD', KEYS[1], epoch .. '-' .. offset,
                  'n', ARGV[5 + i * 3], 'id', ids[i], 't', now, 'a', ARGV[4 + i * 3])
                added[ids[i]] = offset
                marks[#marks + 1] = ids[i]
                marks[#marks + 1] = offset
              end
              reply[#reply + 1] = old and 0 or 1
              reply[#reply + 1] = old and tonumber(old) or offset
            end
            if told ~= now then reply[#reply + 1] = told end
            if offset == first then return reply end

            if first == 0 then
              redis.call('XTRIM', KEYS[1], 'MINID', epoch)
              redis.call('DEL', KEYS[4] .. bucket - 1, KEYS[4] .. bucket, KEYS[4] .. bucket + 1)
            end
            if now >= (bucket + 1) * window or first - base >= most then
              bucket, base = nextBucket(KEYS[4], bucket, first, now, window)
            end
            redis.call('HSET', KEYS[4] .. bucket, unpack(marks))
            -- Unlike an inbox a channel ends by itself, and what it has seen ends with it.
            redis.call('PEXPIRE', KEYS[4] .. bucket, math.max(maxAge, 2 * window))
            local gone = 0
            if offset - floor + 1 > maxEntries then gone = redis.call('XTRIM', KEYS[1], 'MAXLEN', maxEntries) end
            -- No entry is older than that, unless the clock was ahead when it was noted.
            local oldest = tonumber(state[6] or epoch)
            if now - oldest > maxAge or oldest > now then
              local aged
              aged, oldest = trimByAge(KEYS[1], epoch, now, maxAge)
              gone = gone + aged
              redis.call('HSET', KEYS[2], 'oldest', oldest)
            end
            if gone > 0 then
              floor = tonumber(string.match(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1], '%d+$'))
            end
            redis.call('HSET', KEYS[2], 'epoch', epoch, 'offset', offset, 'floor', floor, 'seen', bucket, 'base', base)
            -- With its last post a channel ends: the next one, if there is any, begins a later epoch.
            redis.call('PEXPIRE', KEYS[1], maxAge)
            redis.call('PEXPIRE', KEYS[2], maxAge)
            return reply
            """)

    /// Reads on from a position, or backwards; writes nothing but the new epoch of a channel of an earlier generation.
    ///
    /// KEYS: channel, state. ARGV: as `page` of an inbox, then 1 for backwards.
    static let historyScript = RedisScript(
        "history", keys: 2,
        Lua.clock + Lua.newEpoch + Lua.renewed + Lua.readPage + """
            local state = redis.call('HMGET', KEYS[2], 'epoch', 'offset', 'floor', 'generation')
            local epoch = state[1]
            if not epoch then
              local lost = ARGV[1] == 'present' or (ARGV[1] ~= 'floor' and (ARGV[1] ~= '0' or tonumber(ARGV[2]) > 0))
              return {0, 0, 1, 0, lost and 0 or 1, 1, {}}
            end
            if tonumber(state[4] or 0) < tonumber(ARGV[5]) then epoch = renewed(KEYS[1], KEYS[2], epoch, ARGV[5], now) end
            local offset, floor, after, limit = tonumber(state[2]), tonumber(state[3]), tonumber(ARGV[2]), tonumber(ARGV[3])
            if ARGV[6] == '0' then
              return readPage(KEYS[1], epoch, offset, floor, 0, ARGV[1], after, limit, tonumber(ARGV[4]))
            end
            local isKnown = ARGV[1] == 'floor' or ARGV[1] == epoch
            local last = ARGV[1] == 'floor' and offset or after - 1
            local entries = isKnown and last > 0 and limit > 0
              and redis.call('XREVRANGE', KEYS[1], epoch .. '-' .. last, epoch .. '-1', 'COUNT', limit) or {}
            return {tonumber(epoch), offset, floor, 0, isKnown and 1 or 0, 1, entries}
            """)

    /// KEYS: channel, state, watchers, listeners, people, presence of the instance.
    /// ARGV: as `page` of an inbox, greatest age in ms, instance, its watchers, its listeners; then of each newcomer the
    /// connection and `storedWatcher`.
    static let watchScript = RedisScript(
        "watch", keys: 6,
        Lua.clock + Lua.newEpoch + Lua.renewed + Lua.readPage + Lua.crowd + Lua.coming + """
            local state = redis.call('HMGET', KEYS[2], 'epoch', 'offset', 'floor', 'generation')
            check(3)
            local epoch, offset, floor = state[1], 0, 1
            local isNew = not epoch
            if isNew then
              epoch = newEpoch(KEYS[1], now)
            else
              offset, floor = tonumber(state[2]), tonumber(state[3])
              if tonumber(state[4] or 0) < tonumber(ARGV[5]) then epoch = renewed(KEYS[1], KEYS[2], epoch, ARGV[5], now) end
            end
            local page = readPage(KEYS[1], epoch, offset, floor, 0,
              ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
            if isNew then
              redis.call('HSET', KEYS[2], 'epoch', epoch, 'offset', 0, 'floor', 1, 'generation', ARGV[5])
              redis.call('PEXPIRE', KEYS[2], ARGV[6])
            end
            return {page, join(3, 7)}
            """)

    /// KEYS: watchers, listeners, people, presence of the instance. ARGV: as `watch`, from the instance on.
    static let joinScript = RedisScript(
        "join", keys: 4,
        Lua.crowd + Lua.coming + """
            check(1)
            return join(1, 1)
            """)

    /// KEYS: watchers, listeners, people, presence of the instance. ARGV: instance, its watchers, its listeners; connections.
    static let unwatchScript = RedisScript(
        "unwatch", keys: 4,
        Lua.crowd + """
            for i = 1, 4 do redis.call('HLEN', KEYS[i]) end
            local changed = 0
            for i = 4, #ARGV do
              if leave(KEYS[3], KEYS[4], ARGV[i]) then changed = changed + 1 end
            end
            set(KEYS[1], ARGV[1], ARGV[2])
            set(KEYS[2], ARGV[1], ARGV[3])
            return {changed, count(KEYS[1]), redis.call('HKEYS', KEYS[2])}
            """)

    /// KEYS: as `unwatch`. ARGV: instance, most. Answers whether all have gone, the listeners that are left, and of each that
    /// went what was noted.
    static let sweepScript = RedisScript(
        "sweepWatchers", keys: 4,
        Lua.crowd + """
            for i = 1, 4 do redis.call('HLEN', KEYS[i]) end
            local gone = {}
            for _, connection in ipairs(redis.call('HRANDFIELD', KEYS[4], ARGV[2])) do
              gone[#gone + 1] = leave(KEYS[3], KEYS[4], connection)
            end
            redis.call('HDEL', KEYS[1], ARGV[1])
            redis.call('HDEL', KEYS[2], ARGV[1])
            return {redis.call('EXISTS', KEYS[4]) == 0 and 1 or 0, redis.call('HKEYS', KEYS[2]), gone}
            """)

    /// KEYS: watchers, people, `channel:{c}:presence:` (a prefix). ARGV: most. Answers connections, people, and if there are
    /// no more than `most`, of each the connection and what is noted of it.
    static let presenceScript = RedisScript(
        "presence", keys: 3,
        Lua.crowd + """
            local total = count(KEYS[1])
            local reply = {total, redis.call('HLEN', KEYS[2])}
            if total > tonumber(ARGV[1]) then return reply end
            for _, instance in ipairs(redis.call('HKEYS', KEYS[1])) do
              for _, part in ipairs(redis.call('HGETALL', KEYS[3] .. instance)) do reply[#reply + 1] = part end
            end
            return reply
            """)
}
