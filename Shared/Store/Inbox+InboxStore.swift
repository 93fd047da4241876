public import Models
internal import Redis

/// Inboxes in Redis, without the routes that lie beside them.
extension Inbox: InboxStore {
    public func append(
        _ deliveries: [Delivery], to person: PersonID, reply: @escaping (Result<Appended, StoreError>) -> Void
    ) {
        deliver(deliveries, to: person) { result in
            reply(result.map { Appended(epoch: $0.epoch, unread: $0.unread, entries: $0.entries) })
        }
    }

    public func open(
        _ person: PersonID, from start: InboxStart, limit: Int, bytes: Int,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        let tag = keys.tag(person)
        client.eval(
            Self.openScript, arguments: 7,
            { writer in
                keys.write("inbox:", tag, to: &writer)
                keys.write("inbox:", tag, ":state", to: &writer)
                start.write(limit: limit, bytes: bytes, witness, to: &writer)
            },
            { reply($0.decoded("open", InboxPage.init)) })
    }

    public func mark(
        _ change: InboxChange, of person: PersonID, reply: @escaping (Result<InboxCounts, StoreError>) -> Void
    ) {
        self.change(change, of: person) { reply($0.map(\.counts)) }
    }

    /// KEYS: inbox, state. ARGV: as `page`.
    static let openScript = RedisScript(
        "open", keys: 2,
        Lua.clock + Lua.newEpoch + Lua.renewed + Lua.readPage + Lua.openPage + """
            return openPage(KEYS[1], KEYS[2])
            """)
}

/// Each call one step: a person's inbox and routes share a slot.
extension Inbox: CombinedStore {
    public func register(
        _ connection: ConnectionID, of person: PersonID, device: String, transport: Transport, from start: InboxStart,
        limit: Int, bytes: Int, reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        Routes(client, keys, witness: witness).register(
            connection, of: person, device: device, transport: transport, from: start, limit: limit, bytes: bytes, reply: reply)
    }

    public func change(
        _ change: InboxChange, of person: PersonID, reply: @escaping (Result<Marked, StoreError>) -> Void
    ) {
        switch change {
        case .read(let selection): markRead(selection, of: person, reply: reply)
        case .unread(let ids): markUnread(ids, of: person, reply: reply)
        case .archive(let ids): archive(ids, of: person, reply: reply)
        }
    }
}

extension Lua {
    /// After `clock`, `newEpoch`, `renewed` and `readPage`, where ARGV is `page`'s: `openPage(stream, key)` answers as `page`
    /// does, and begins the first epoch where there is none.
    static let openPage = """
        local function openPage(stream, key)
          local state = redis.call('HMGET', key, 'epoch', 'offset', 'floor', 'unread', 'revision', 'generation')
          local epoch, offset, floor, unread = state[1], 0, 1, 0
          if not state[1] then
            epoch = newEpoch(stream, now)
          else
            offset, floor, unread = tonumber(state[2]), tonumber(state[3]), tonumber(state[4])
            if tonumber(state[6] or 0) < tonumber(ARGV[5]) then epoch = renewed(stream, key, epoch, ARGV[5], now) end
          end
          local page = readPage(stream, epoch, offset, floor, unread,
            ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
          page[8] = tonumber(state[5]) or 0
          if not state[1] then
            redis.call('HSET', key, 'epoch', epoch, 'offset', 0, 'floor', 1, 'unread', 0)
            if ARGV[5] ~= '0' then redis.call('HSET', key, 'generation', ARGV[5]) end
          end
          return page
        end

        """
}
