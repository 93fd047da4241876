public import Models
internal import Redis

/// One inbox, counted again from its stream, beside what its state says.
public struct InboxAudit: Equatable, Sendable {
    /// As stored.
    public var state: InboxState
    public var acked: UInt64
    public var read: UInt64
    public var taken: UInt64
    /// Entries that stand in the stream; the offsets of the first and the last of them, 0 if there is none.
    public var entries: Int
    public var first: UInt64
    public var last: UInt64
    /// Entries of another epoch than the state's.
    public var foreign: Int
    /// Entries behind `read` without a mark.
    public var counted: Int
    /// Marks, and those of them that mark no entry behind `read`.
    public var marks: Int
    public var strayMarks: Int

    /// What does not agree, a line each; empty for a sound inbox.
    public var drifts: [String] {
        var drifts: [String] = []
        if state.unread != counted { drifts.append("unread is \(state.unread), and \(counted) are") }
        if strayMarks > 0 { drifts.append("\(strayMarks) of \(marks) marks mark no entry behind read") }
        if foreign > 0 { drifts.append("\(foreign) entries are of another epoch") }
        if state.floor < 1 || state.floor > state.offset &+ 1 || (first > 0 && first < state.floor) {
            drifts.append("floor is \(state.floor), and the first entry's offset \(first)")
        }
        if last > state.offset { drifts.append("offset is \(state.offset), and the last entry's \(last)") }
        for (name, value) in [("acked", acked), ("read", read), ("taken", taken)] where value > state.offset {
            drifts.append("\(name) is \(value), and offset \(state.offset)")
        }
        return drifts
    }
}

extension Inbox {
    /// Counts one inbox again, in one step, and changes nothing. Nil for a person that nothing has touched.
    public func audit(of person: PersonID, reply: @escaping (Result<InboxAudit?, StoreError>) -> Void) {
        let tag = keys.tag(person)
        client.eval(
            Self.auditScript, arguments: 3,
            { writer in
                keys.write("inbox:", tag, to: &writer)
                keys.write("inbox:", tag, ":state", to: &writer)
                keys.write("inbox:", tag, ":marks", to: &writer)
            },
            { result in
                reply(
                    result.decoded("audit") { value -> InboxAudit?? in
                        value.isNull ? .some(nil) : InboxAudit(value).map { .some($0) }
                    })
            })
    }

    /// One step of a walk over all people who have an inbox: begins with "0" and goes on with what it answers, until that
    /// is "0" again. Somebody may be named twice; who came or went meanwhile may be missing.
    public func people(
        from cursor: String, reply: @escaping (Result<(next: String, people: [PersonID]), StoreError>) -> Void
    ) {
        let keys = keys
        client.send(
            "SCAN", cursor, "MATCH", keys.text("inbox:{*}:*:state"), "COUNT", "1000", "TYPE", "hash"
        ) { result in
            reply(
                result.decoded("SCAN") { value in
                    guard let parts = value.array, parts.count == 2, let next = parts[0].text, let names = parts[1].array else {
                        return nil
                    }
                    return (next, names.compactMap { $0.text.flatMap(keys.owner(ofState:)) })
                })
        }
    }

    /// KEYS: inbox, state, marks. Answers what `InboxAudit` reads, or nothing.
    static let auditScript = RedisScript(
        "audit", keys: 3,
        Lua.readState + """
            local state = readState(KEYS[2])
            if not state then return false end
            local marked, marks = {}, redis.call('SMEMBERS', KEYS[3])
            for i = 1, #marks do marked[tonumber(marks[i])] = true end
            local entries, first, last, foreign, counted, used = 0, 0, 0, 0, 0, 0
            local start = '-'
            while start do
              local chunk = redis.call('XRANGE', KEYS[1], start, '+', 'COUNT', 64)
              for i = 1, #chunk do
                local epoch, offset = string.match(chunk[i][1], '^(%d+)-(%d+)$')
                offset = tonumber(offset)
                if epoch ~= state.epoch then
                  foreign = foreign + 1
                else
                  entries = entries + 1
                  if first == 0 then first = offset end
                  last = offset
                  if offset > state.read then
                    if marked[offset] then used = used + 1 else counted = counted + 1 end
                  end
                end
              end
              start = #chunk == 64 and '(' .. chunk[64][1]
            end
            -- Before the first delivery of an epoch the stream may hold what an older one left.
            if state.offset == 0 then foreign = 0 end
            return {tonumber(state.epoch), state.offset, state.floor, state.unread, state.revision, state.acked, state.read,
              state.taken, entries, first, last, foreign, counted, #marks, #marks - used}
            """)
}

extension InboxAudit {
    init?(_ value: RedisValue) {
        guard let parts = value.array, parts.count == 15 else { return nil }
        let numbers = parts.compactMap(\.integer)
        guard numbers.count == 15 else { return nil }
        func place(_ index: Int) -> UInt64 { UInt64(clamping: numbers[index]) }
        state = InboxState(
            epoch: place(0), offset: place(1), floor: place(2), unread: Int(clamping: numbers[3]), revision: place(4))
        (acked, read, taken) = (place(5), place(6), place(7))
        entries = Int(clamping: numbers[8])
        (first, last) = (place(9), place(10))
        foreign = Int(clamping: numbers[11])
        counted = Int(clamping: numbers[12])
        marks = Int(clamping: numbers[13])
        strayMarks = Int(clamping: numbers[14])
    }
}

extension Keyspace {
    /// Whose state a key holds; nil if it is no state of ours. An id may itself end in `:state`: its shard tells.
    func owner(ofState key: String) -> PersonID? {
        // By bytes: to `String` a colon and a combining mark behind it are one character.
        let (head, tail) = (text("inbox:{").utf8, ":state".utf8)
        guard key.utf8.starts(with: head), key.utf8.reversed().starts(with: tail.reversed()) else { return nil }
        let rest = key.utf8.dropFirst(head.count).dropLast(tail.count)
        guard let brace = rest.firstIndex(of: UInt8(ascii: "}")), let number = Int(Substring(rest[..<brace])),
            let person = PersonID(String(Substring(rest[brace...].dropFirst(2)))), shard(of: person, shards: shards) == number
        else { return nil }
        return person
    }
}
