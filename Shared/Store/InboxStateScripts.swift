internal import Redis

// What `unread` means: the entries that stand in the stream, whose offset is above `read` and not in the set of marks.
// A mark is the offset of an entry that stands in the stream, above `read`. An archived entry stands nowhere.
extension Lua {
    /// `dropMarks(key, from, to)`: removes the marks of these offsets, and answers how many there were.
    static let dropMarks = """
        local function dropMarks(key, from, to)
          if to < from or redis.call('EXISTS', key) == 0 then return 0 end
          local gone, dropped = {}, 0
          if to - from < 64 then
            for offset = from, to do gone[#gone + 1] = offset end
          else
            local all = redis.call('SMEMBERS', key)
            for i = 1, #all do
              local offset = tonumber(all[i])
              if offset >= from and offset <= to then gone[#gone + 1] = all[i] end
            end
          end
          for i = 1, #gone, 1000 do
            dropped = dropped + redis.call('SREM', key, unpack(gone, i, math.min(i + 999, #gone)))
          end
          return dropped
        end

        """

    /// `openness(stream, state, marks, epoch, floor)`: a function that says of an offset whether it is open: neither
    /// acknowledged, seen nor read, and not archived. Of what trimming has taken nothing more is known.
    static let openness = """
        local function openness(stream, state, marks, epoch, floor)
          local positions = redis.call('HMGET', state, 'acked', 'taken', 'read')
          local done = math.max(positions[1] or 0, positions[2] or 0, positions[3] or 0)
          return function(offset)
            if offset <= done or redis.call('SISMEMBER', marks, offset) == 1 then return false end
            if offset < floor then return true end
            local id = epoch .. '-' .. offset
            return #redis.call('XRANGE', stream, id, id) > 0
          end
        end

        """

    /// `readState(key)`: the state with every field a number but the epoch, which is a text; nil if nothing has touched the
    /// person yet. A field that a former version did not write is 0.
    static let readState = """
        local function readState(key)
          local names = {'offset', 'floor', 'unread', 'acked', 'read', 'taken', 'revision', 'generation', 'seen'}
          local values = redis.call('HMGET', key, 'epoch', unpack(names))
          if not values[1] then return nil end
          local state = {epoch = values[1]}
          for i = 1, #names do state[names[i]] = tonumber(values[i + 1]) or 0 end
          return state
        end

        """

    /// `eachEntry(stream, epoch, from, to, body)`: calls the body with offset and fields of each entry that is there, in
    /// order, until it answers true.
    static let eachEntry = """
        local function eachEntry(stream, epoch, from, to, body)
          local start, stop = epoch .. '-' .. from, epoch .. '-' .. to
          while from <= to do
            local chunk = redis.call('XRANGE', stream, start, stop, 'COUNT', 64)
            for i = 1, #chunk do
              if body(tonumber(string.match(chunk[i][1], '%d+$')), chunk[i][2]) then return end
            end
            if #chunk < 64 then return end
            start = '(' .. chunk[64][1]
          end
        end
        local function field(fields, name)
          for i = 1, #fields, 2 do
            if fields[i] == name then return fields[i + 1] end
          end
        end

        """

    /// `find(stream, seen, state, window, now, ids)`: the offsets of those entries that are there, rising, each once.
    ///
    /// An id is found through the two buckets of what was seen; what is older than those (an inbox may keep it for longer)
    /// is looked for among the oldest entries, 1,000 of them at most. A former version's buckets are those of now and before.
    static let find = """
        local function find(stream, seen, state, window, now, ids)
          local found, offsets = {}, {}
          if state.offset == 0 then return offsets end
          local bucket = state.seen > 0 and state.seen or math.floor(now / window)
          local known = redis.call('HMGET', seen .. bucket, unpack(ids))
          local before = redis.call('HMGET', seen .. bucket - 1, unpack(ids))
          local missing, wanted = 0, {}
          for i = 1, #ids do
            local offset = tonumber(known[i] or before[i])
            if offset and offset <= state.offset then
              eachEntry(stream, state.epoch, offset, offset, function(_, fields)
                if field(fields, 'id') == ids[i] then found[offset] = true end
              end)
            elseif not wanted[ids[i]] then
              wanted[ids[i]] = true
              missing = missing + 1
            end
          end
          local horizon, looked = (bucket - 1) * window, 0
          if missing > 0 then
            eachEntry(stream, state.epoch, state.floor, state.offset, function(offset, fields)
              looked = looked + 1
              if wanted[field(fields, 'id')] then
                found[offset] = true
                missing = missing - 1
              end
              return missing == 0 or looked >= 1000 or tonumber(field(fields, 't')) >= horizon
            end)
          end
          for offset in pairs(found) do offsets[#offsets + 1] = offset end
          table.sort(offsets)
          return offsets
        end

        """

    /// `currentState(stream, key, generation)`: as `readState`, of the epoch to go on with.
    static let currentState =
        readState + newEpoch + renewed + """
            local function currentState(stream, key, generation)
              local state = readState(key)
              if state and state.generation < tonumber(generation) then
                state.epoch = renewed(stream, key, state.epoch, generation, now)
              end
              return state
            end

            """

    static let states = clock + dropMarks + currentState + eachEntry + find
}

extension Inbox {
    /// KEYS: inbox, state, `seen:P:`. ARGV: `acked` or `taken`, dedup window in ms, generation; then `position`, epoch,
    /// offset, or `ids` and ids. Answers unread, revision, offset, accepted, and whether nobody had acknowledged that offset before.
    static let acknowledgeScript = RedisScript(
        "acknowledge", keys: 3,
        Lua.states + """
            local state = currentState(KEYS[1], KEYS[2], ARGV[3])
            if not state then return {0, 0, 0, 0, 0} end
            local to = 0
            if ARGV[4] == 'position' then
              if ARGV[5] == state.epoch and tonumber(ARGV[6]) <= state.offset then to = tonumber(ARGV[6]) end
            else
              local offsets = find(KEYS[1], KEYS[3], state, tonumber(ARGV[2]), now, {unpack(ARGV, 5)})
              to = offsets[#offsets] or 0
            end
            local accepted, isFirst = 0, 0
            if to > 0 then
              eachEntry(KEYS[1], state.epoch, to, to, function(_, fields) accepted = tonumber(field(fields, 'a')) or 0 end)
              if to > state.acked then
                isFirst = 1
                redis.call('HSET', KEYS[2], 'acked', to)
              end
              if ARGV[1] == 'taken' and to > state.taken then redis.call('HSET', KEYS[2], 'taken', to) end
            end
            return {state.unread, state.revision, to, accepted, isFirst}
            """)

    /// KEYS: inbox, state, marks, routes, `seen:P:`. ARGV: `read`, `unread` or `archive`, dedup window in ms, generation; then as
    /// above.
    /// Answers unread, revision and routes.
    ///
    /// Marks are read before anything is written: a key of the wrong type fails here. After the first write Redis refuses
    /// none for want of memory.
    static let markScript = RedisScript(
        "mark", keys: 5,
        Lua.states + """
            local stream, marks = KEYS[1], KEYS[3]
            local routes = redis.call('HKEYS', KEYS[4])
            redis.call('SCARD', marks)
            local state = currentState(stream, KEYS[2], ARGV[3])
            if not state then return {0, 0, routes} end
            local unread, read, acked, taken = state.unread, state.read, state.acked, state.taken

            local function readUpTo(to)
              if to <= read or to > state.offset then return end
              local from = math.max(read + 1, state.floor)
              local entries = math.max(0, to - from + 1)
              -- Only where entries were archived do they have to be counted.
              if entries > 0 and redis.call('XLEN', stream) ~= state.offset - state.floor + 1 then
                entries = 0
                eachEntry(stream, state.epoch, from, to, function() entries = entries + 1 end)
              end
              unread = unread - (entries - dropMarks(marks, read + 1, to))
              read, acked, taken = to, math.max(acked, to), math.max(taken, to)
            end

            local function readAlone(offset)
              if offset > read and redis.call('SADD', marks, offset) == 1 then unread = unread - 1 end
            end

            local function archive(offset)
              redis.call('XDEL', stream, state.epoch .. '-' .. offset)
              if offset > read and redis.call('SREM', marks, offset) == 0 then unread = unread - 1 end
            end

            -- Below `read` nothing is marked: the position goes back, and what stays read behind it is marked one by one.
            local function markUnread(offsets)
              local again, below = {}, nil
              for i = 1, #offsets do
                local offset = offsets[i]
                again[offset] = true
                if offset > read then
                  unread = unread + redis.call('SREM', marks, offset)
                else
                  below = below or offset
                  unread = unread + 1
                end
              end
              if not below then return end
              eachEntry(stream, state.epoch, below + 1, read, function(offset)
                if not again[offset] then redis.call('SADD', marks, offset) end
              end)
              read = below - 1
            end

            if ARGV[4] == 'position' then
              if ARGV[1] == 'read' and ARGV[5] == state.epoch then readUpTo(tonumber(ARGV[6])) end
            else
              local offsets = find(stream, KEYS[5], state, tonumber(ARGV[2]), now, {unpack(ARGV, 5)})
              if ARGV[1] == 'unread' then
                markUnread(offsets)
              else
                for i = 1, #offsets do (ARGV[1] == 'read' and readAlone or archive)(offsets[i]) end
              end
            end
            unread = math.max(0, unread)
            if unread == 0 and ARGV[1] ~= 'unread' then
              -- Everything that is there is read: one position says so.
              redis.call('DEL', marks)
              read = state.offset
            end

            local revision = state.revision
            if unread ~= state.unread then revision = revision + 1 end
            if read ~= state.read or revision ~= state.revision or acked ~= state.acked or taken ~= state.taken then
              redis.call('HSET', KEYS[2], 'unread', unread, 'read', read, 'acked', acked, 'taken', taken,
                'revision', revision)
            end
            return {unread, revision, routes}
            """)

    /// KEYS: inbox, state. ARGV: epoch, offset, most entries, most bytes, generation. Answers as `page`.
    static let newestScript = RedisScript(
        "newest", keys: 2,
        Lua.clock + Lua.currentState + """
            local state = currentState(KEYS[1], KEYS[2], ARGV[5])
            if not state then return {0, 0, 1, 0, 0, 1, {}, 0} end
            local after, limit, budget = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
            local answer = {tonumber(state.epoch), state.offset, state.floor, state.unread, 0, 1, {}, state.revision}
            if ARGV[1] ~= state.epoch or after > state.offset or after + 1 < state.floor then return answer end
            local entries, size, full, complete = {}, 0, limit < 1, after >= state.offset
            local stop, start = state.epoch .. '-' .. state.offset, state.epoch .. '-' .. after + 1
            while not (full or complete) do
              local chunk = redis.call('XREVRANGE', KEYS[1], stop, start, 'COUNT', 16)
              for i = 1, #chunk do
                if full then break end
                entries[#entries + 1] = chunk[i]
                local fields = chunk[i][2]
                for j = 2, #fields, 2 do size = size + #fields[j] end
                full = size >= budget or #entries >= limit
              end
              complete = #chunk < 16 and not full
              if #chunk > 0 then stop = '(' .. chunk[#chunk][1] end
            end
            if full and #entries > 0 then
              local last = entries[#entries][1]
              complete = last == start or #redis.call('XREVRANGE', KEYS[1], '(' .. last, start, 'COUNT', 1) == 0
            end
            for i = 1, math.floor(#entries / 2) do
              entries[i], entries[#entries + 1 - i] = entries[#entries + 1 - i], entries[i]
            end
            answer[5], answer[6], answer[7] = 1, complete and 1 or 0, entries
            return answer
            """)
}
