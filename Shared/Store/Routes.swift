internal import EventLoop
public import Models
public import Redis

/// By what a connection speaks.
public enum Transport: String, Sendable {
    case websocket, sse, poll
}

/// Which connections a person holds. Every removal names the connection, so nobody's newer route goes by mistake.
/// Confined to its client's loop.
public struct Routes: RouteRegistry {
    let client: RedisClient
    let keys: Keyspace
    let witness: Witness

    public init(_ client: RedisClient, _ keys: Keyspace, witness: Witness = Witness()) {
        self.client = client
        self.keys = keys
        self.witness = witness
    }

    /// Sets the connection's route and reads the first page in one, so that nothing can fall between the two.
    /// May be repeated, also for a route that stands.
    /// - Parameters:
    ///   - device: the connection's own text where it has none.
    ///   - limit: entries of the page at most; `bytes` as in `Inbox.page`.
    public func register(
        _ connection: ConnectionID, of person: PersonID, device: String, transport: Transport, from start: InboxStart,
        limit: Int, bytes: Int = 1 << 20, reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        let tag = keys.tag(person)
        client.eval(
            Self.registerScript, arguments: 12,
            { writer in
                keys.write("inbox:", tag, to: &writer)
                keys.write("inbox:", tag, ":state", to: &writer)
                keys.write("routes:", tag, to: &writer)
                keys.writeConnections(shard(of: person, shards: keys.shards), of: connection.instance, to: &writer)
                start.write(limit: limit, bytes: bytes, witness, to: &writer)
                writer.argument(connection.description)
                writer.argument("\(device)|\(transport.rawValue)")
                writer.argument(person.text)
            },
            { reply($0.decoded("register", InboxPage.init)) })
    }

    /// Sets the connection's route alone.
    public func add(
        _ connection: ConnectionID, of person: PersonID, device: String, transport: Transport,
        reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        client.eval(
            Self.addScript, arguments: 5,
            { writer in
                keys.write("routes:", keys.tag(person), to: &writer)
                keys.writeConnections(shard(of: person, shards: keys.shards), of: connection.instance, to: &writer)
                writer.argument(connection.description)
                writer.argument("\(device)|\(transport.rawValue)")
                writer.argument(person.text)
            },
            { reply($0.done) })
    }

    /// The person's connections at this moment.
    public func routes(of person: PersonID, reply: @escaping (Result<[[UInt8]], StoreError>) -> Void) {
        client.send(
            arguments: 2,
            { writer in
                writer.argument("HKEYS" as StaticString)
                keys.write("routes:", keys.tag(person), to: &writer)
            },
            { reply($0.decoded("HKEYS") { $0.array?.compactMap(\.bytes) }) })
    }

    /// Removes the connection's route, if it stands. Answers how many the person has left.
    public func unregister(
        _ connection: ConnectionID, of person: PersonID, reply: @escaping (Result<Int, StoreError>) -> Void
    ) {
        let tag = keys.tag(person)
        client.eval(
            Self.unregisterScript, arguments: 4,
            { writer in
                keys.write("routes:", tag, to: &writer)
                keys.writeConnections(shard(of: person, shards: keys.shards), of: connection.instance, to: &writer)
                writer.argument(connection.description)
                writer.argument(person.text)
            },
            { reply($0.decoded("unregister") { $0.integer.map { Int(clamping: $0) } }) })
    }

    /// Removes up to `limit` routes that one instance holds on one shard, and the notes of them.
    /// Answers how many; to be repeated until that is 0. Harmless when several do it at once.
    public func sweep(
        _ instance: InstanceID, shard: Int, limit: Int = 500, reply: @escaping (Result<Int, StoreError>) -> Void
    ) {
        client.eval(
            Self.sweepScript, arguments: 4,
            { writer in
                keys.writeConnections(shard, of: instance, to: &writer)
                keys.write("routes:", keys.shardTag(shard), ":", to: &writer)
                writer.argument("\(instance).")
                writer.argument(Int64(limit))
            },
            { reply($0.decoded("sweep") { $0.integer.map { Int(clamping: $0) } }) })
    }

    /// How many connections each person holds, in the order asked, in one write. The first error fails it all.
    public func connections(of people: [PersonID], reply: @escaping (Result<[Int], StoreError>) -> Void) {
        guard !people.isEmpty else { return client.loop.atTurnEnd { reply(.success([])) } }
        let gathering = Gathering(count: people.count, reply)
        for (index, person) in people.enumerated() {
            let tag = keys.tag(person)
            client.send(
                arguments: 2,
                { writer in
                    writer.argument("HLEN" as StaticString)
                    keys.write("routes:", tag, to: &writer)
                },
                { gathering.take($0.decoded("HLEN") { $0.integer.map { Int(clamping: $0) } }, at: index) })
        }
    }

    // MARK: Scripts

    /// KEYS: inbox, state, routes, connections. ARGV: as `page`, then connection, `<device>|<transport>` (of several `|` the
    /// last divides, for a device's id may have some), person.
    static let registerScript = RedisScript(
        "register", keys: 4,
        Lua.clock + Lua.newEpoch + Lua.renewed + Lua.readPage + Lua.openPage + Lua.route + """
            checkRoute(KEYS[3], KEYS[4])
            local page = openPage(KEYS[1], KEYS[2])
            addRoute(KEYS[3], KEYS[4], ARGV[6], ARGV[7], ARGV[8])
            return page
            """)

    /// KEYS: routes, connections. ARGV: connection, `<device>|<transport>`, person.
    static let addScript = RedisScript(
        "addRoute", keys: 2,
        Lua.route + """
            checkRoute(KEYS[1], KEYS[2])
            addRoute(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
            return 1
            """)

    /// KEYS: routes, connections. ARGV: connection, person.
    static let unregisterScript = RedisScript(
        "unregister", keys: 2,
        """
        local note = ARGV[1] .. ' ' .. ARGV[2]
        redis.call('SISMEMBER', KEYS[2], note)
        redis.call('HDEL', KEYS[1], ARGV[1])
        redis.call('SREM', KEYS[2], note)
        return redis.call('HLEN', KEYS[1])
        """)

    /// KEYS: connections, `routes:{s}:` (a prefix). ARGV: `<instance>.`, most.
    /// A key that holds no hash holds no route either: its error is let go, and the note with it.
    static let sweepScript = RedisScript(
        "sweep", keys: 2,
        """
        local notes = redis.call('SRANDMEMBER', KEYS[1], ARGV[2])
        for i = 1, #notes do
          local blank = string.find(notes[i], ' ', 1, true)
          if blank then
            local connection, person = string.sub(notes[i], 1, blank - 1), string.sub(notes[i], blank + 1)
            if string.sub(connection, 1, #ARGV[1]) == ARGV[1] then redis.pcall('HDEL', KEYS[2] .. person, connection) end
          end
          redis.call('SREM', KEYS[1], notes[i])
        end
        return #notes
        """)
}

extension Lua {
    /// `checkRoute(routes, connections)`: fails where a key is of the wrong type, before anything is written.
    /// `addRoute(routes, connections, connection, value, person)`.
    static let route = """
        local function checkRoute(routes, connections)
          redis.call('HLEN', routes)
          redis.call('SCARD', connections)
        end
        local function addRoute(routes, connections, connection, value, person)
          redis.call('SADD', connections, connection .. ' ' .. person)
          redis.call('HSET', routes, connection, value)
        end

        """
}

extension Keyspace {
    /// `connections:{s}:<instance>`.
    func writeConnections(_ shard: Int, of instance: InstanceID, to writer: inout RESPWriter) {
        var tag = shardTag(shard)
        tag.append(UInt8(ascii: ":"))
        tag.append(contentsOf: instance.text.utf8)
        write("connections:", tag, to: &writer)
    }
}

/// Collects the replies of several commands.
final class Gathering<Value> {
    private var values: [Value?]
    private var missing: Int
    private var failure: StoreError?
    private let reply: (Result<[Value], StoreError>) -> Void

    init(count: Int, _ reply: @escaping (Result<[Value], StoreError>) -> Void) {
        values = Array(repeating: nil, count: count)
        missing = count
        self.reply = reply
    }

    func take(_ result: Result<Value, StoreError>, at index: Int) {
        switch result {
        case .success(let value): values[index] = value
        case .failure(let error): failure = failure ?? error
        }
        missing -= 1
        if missing == 0 { reply(failure.map { .failure($0) } ?? .success(values.compactMap { $0 })) }
    }
}
