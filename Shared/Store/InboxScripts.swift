internal import Redis

/// Lua that more than one script begins with.
enum Lua {
    /// Redis's time in ms: what decides, in every script that decides by time.
    static let clock = """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

        """

    /// After `clock`, where ARGV[5] is what it should say: `told` is what it says, and `now` what is believed of it. Neither
    /// trims nor forgets by a step of more than an hour (`SteadyClock`).
    static let believed = """
        local told, expected = now, tonumber(ARGV[5])
        if expected > 0 and (told - expected > 3600000 or expected - told > 3600000) then now = expected end

        """

    // Numbers are put into ids with `..`, which writes all digits up to 10^14: more than a clock or an inbox will count.

    /// `newEpoch(stream, now)`: later than any that the stream has ever held, so that its ids go on growing.
    static let newEpoch = """
        local function newEpoch(stream, now)
          local last = 0
          if redis.call('EXISTS', stream) == 1 then
            local info = redis.call('XINFO', 'STREAM', stream)
            for i = 1, #info, 2 do
              if info[i] == 'last-generated-id' then last = tonumber(string.match(info[i + 1], '^%d+')) end
            end
          end
          return string.format('%.0f', math.max(now, last + 1))
        end

        """

    /// `readPage(...)`: where a reader stands, and the entries from there, bounded by their number and bytes.
    /// `wanted` is an epoch, or `floor`, or `present`. Entries that are missing at or above the floor are stepped over.
    static let readPage = """
        local function readPage(stream, epoch, offset, floor, unread, wanted, after, limit, budget)
          local recovered, from = 0, offset + 1
          if wanted == 'floor' then
            recovered, from = 1, floor
          elseif wanted ~= 'present' then
            local known = wanted == epoch or (wanted == '0' and after == 0)
            if known and after <= offset and after + 1 >= floor then recovered, from = 1, after + 1 end
          end
          local entries, size, full, complete = {}, 0, limit < 1, from > offset
          local start, stop = epoch .. '-' .. from, epoch .. '-' .. offset
          while not (full or complete) do
            local count = math.min(limit - #entries, 16)
            local chunk = redis.call('XRANGE', stream, start, stop, 'COUNT', count)
            for i = 1, #chunk do
              if full then break end
              entries[#entries + 1] = chunk[i]
              local fields = chunk[i][2]
              for j = 2, #fields, 2 do size = size + #fields[j] end
              full = size >= budget or #entries >= limit
            end
            local last = #entries > 0 and entries[#entries][1]
            complete = last == stop or (#chunk < count and not full)
            start = last and '(' .. last
          end
          return {tonumber(epoch), offset, floor, unread, recovered, complete and 1 or 0, entries}
        end

        """
}

extension Inbox {
    /// Appends what is new, in order, and answers for all of it.
    ///
    /// KEYS: inbox, state, routes, `seen:P:` (the prefix of the buckets), marks.
    /// ARGV: most entries, greatest age in ms, dedup window in ms, most that one bucket holds, what Redis's clock should say
    /// (0: whatever it says); then id, accepted and bytes of each notification.
    /// Answers epoch, unread, routes, and for each notification 1 if it is fresh, 0 if it stood there and is open, 2 if it
    /// stood there and is not (`Delivered.Entry`), and its offset; then the clock's time, if it is not believed.
    ///
    /// All keys are read before the first write, and the first write is an XADD, which is refused when memory is short:
    /// so either nothing happens or everything does. Functions stand where they are needed, which is seldom: to make one costs
    /// time.
    static let deliverScript = RedisScript(
        "deliver", keys: 5,
        Lua.clock + Lua.believed + """
            local state = redis.call('HMGET', KEYS[2], 'epoch', 'offset', 'floor', 'unread', 'read', 'seen', 'base', 'oldest')
            local routes = redis.call('HKEYS', KEYS[3])
            local maxEntries, maxAge, window, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
            local epoch = state[1]
            local offset, floor, unread, read = 0, 1, 0, 0
            if epoch then
              offset, floor, unread = tonumber(state[2]), tonumber(state[3]), tonumber(state[4])
              read = tonumber(state[5]) or 0
            else
              \(Lua.newEpoch)
              epoch = newEpoch(KEYS[1], now)
            end
            local first = offset
            -- No entry is older than that, unless the clock was ahead when it was noted.
            local oldest = tonumber(state[8] or epoch)
            local isAged = now - oldest > maxAge or oldest > now
            -- What is trimmed may be marked: a key of the wrong type fails here.
            if (#ARGV - 5) / 3 + offset - floor + 1 > maxEntries or isAged then redis.call('SCARD', KEYS[5]) end

            local bucket, base = tonumber(state[6]), tonumber(state[7] or 0)
            if not bucket then
              \(Lua.bucketOf)
              bucket, base = bucketOf(KEYS[4], offset, now, window)
            end
            local ids = {}
            for i = 6, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
            local known = redis.call('HMGET', KEYS[4] .. bucket, unpack(ids))
            local before = base > 0 and redis.call('HMGET', KEYS[4] .. bucket - 1, unpack(ids)) or {}

            -- An epoch in which nothing was delivered yet knows nothing: what was seen was seen in another.
            local repeated, isOpen = {}, nil
            for i = 1, first > 0 and #ids or 0 do
              local old = tonumber(known[i] or before[i])
              if old then
                if not isOpen then
                  \(Lua.openness)
                  isOpen = openness(KEYS[1], KEYS[2], KEYS[5], epoch, floor)
                end
                repeated[i] = {isOpen(old) and 0 or 2, old}
              end
            end

            local reply = {tonumber(epoch), 0, routes}
            local marks, added = {}, {}
            for i = 1, #ids do
              local id = ids[i]
              local old = repeated[i] or (added[id] and {0, added[id]})
              if old then
                reply[#reply + 1] = old[1]
                reply[#reply + 1] = old[2]
              else
                offset = offset + 1
                redis.call('XADD', KEYS[1], epoch .. '-' .. offset,
                  'n', ARGV[5 + i * 3], 'id', id, 't', now, 'a', ARGV[4 + i * 3])
                added[id] = offset
                marks[#marks + 1] = id
                marks[#marks + 1] = offset
                reply[#reply + 1] = 1
                reply[#reply + 1] = offset
              end
            end

            if offset > first then
              if first == 0 then
                redis.call('XTRIM', KEYS[1], 'MINID', epoch)
                redis.call('DEL', KEYS[4] .. bucket - 1, KEYS[4] .. bucket, KEYS[4] .. bucket + 1, KEYS[5])
              end
              local latest, start = bucket, base
              if now >= (bucket + 1) * window or first - base >= most then
                \(Lua.nextBucket)
                latest, start = nextBucket(KEYS[4], bucket, first, now, window)
              end
              redis.call('HSET', KEYS[4] .. latest, unpack(marks))
              if latest ~= bucket or not state[6] then
                -- A former version has let them expire by a clock that may step.
                if first > 0 and not state[6] then
                  redis.call('PERSIST', KEYS[4] .. bucket)
                  redis.call('PERSIST', KEYS[4] .. bucket - 1)
                end
                redis.call('HSET', KEYS[2], 'seen', latest, 'base', start)
              end
              unread = unread + offset - first

              local gone = 0
              if offset - floor + 1 > maxEntries then gone = redis.call('XTRIM', KEYS[1], 'MAXLEN', maxEntries) end
              if isAged then
                \(Lua.trimByAge)
                local aged
                aged, oldest = trimByAge(KEYS[1], epoch, now, maxAge)
                gone = gone + aged
                redis.call('HSET', KEYS[2], 'oldest', oldest)
              end
              if gone > 0 then
                local head = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
                local before = floor
                floor = tonumber(string.match(head, '%d+$'))
                -- Below `read` nothing counts as unread. Above it, all that is left was counted and is not marked.
                if floor > read + 1 then
                  \(Lua.dropMarks)
                  dropMarks(KEYS[5], math.max(before, read + 1), floor - 1)
                  unread = redis.call('XLEN', KEYS[1]) - redis.call('SCARD', KEYS[5])
                end
              end
              if first == 0 or gone > 0 then
                redis.call('HSET', KEYS[2], 'epoch', epoch, 'offset', offset, 'floor', floor, 'unread', unread)
              else
                redis.call('HSET', KEYS[2], 'offset', offset, 'unread', unread)
              end
            end
            reply[2] = unread
            if told ~= now then reply[#reply + 1] = told end
            return reply
            """)

    /// Reads on from a position; writes nothing but the new epoch of an inbox of an earlier generation.
    ///
    /// KEYS: inbox, state. ARGV: epoch (or `floor`, `present`), offset after which to read, most entries, most bytes,
    /// generation.
    static let pageScript = RedisScript(
        "page", keys: 2,
        Lua.clock + Lua.newEpoch + Lua.renewed + Lua.readPage + """
            local state = redis.call('HMGET', KEYS[2], 'epoch', 'offset', 'floor', 'unread', 'revision', 'generation')
            local epoch = state[1]
            if not epoch then
              local lost = ARGV[1] == 'present' or (ARGV[1] ~= 'floor' and (ARGV[1] ~= '0' or tonumber(ARGV[2]) > 0))
              return {0, 0, 1, 0, lost and 0 or 1, 1, {}, 0}
            end
            if tonumber(state[6] or 0) < tonumber(ARGV[5]) then epoch = renewed(KEYS[1], KEYS[2], epoch, ARGV[5], now) end
            local page = readPage(KEYS[1], epoch, tonumber(state[2]), tonumber(state[3]), tonumber(state[4]),
              ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
            page[8] = tonumber(state[5]) or 0
            return page
            """)
}
