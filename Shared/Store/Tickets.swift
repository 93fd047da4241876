public import Redis

/// A ticket as it was read, to be replaced only if nobody has changed it since.
public struct StoredTicket: Equatable, Sendable {
    public var ticket: Ticket
    fileprivate let bytes: [UInt8]
}

/// Tickets for URLs. The name of a ticket is a secret of its bearer. Confined to its client's loop.
public struct Tickets {
    let client: RedisClient
    let keys: Keyspace

    public init(_ client: RedisClient, _ keys: Keyspace) {
        self.client = client
        self.keys = keys
    }

    /// Stores a new ticket that ends after `lifetime`.
    public func create(
        _ name: String, _ ticket: Ticket, lifetime: Duration, reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        client.send(
            arguments: 6,
            { writer in
                writer.argument("SET" as StaticString)
                keys.write("tickets:", bytes(name), to: &writer)
                writer.argument(ticket.encoded())
                writer.argument("PX" as StaticString)
                writer.argument(Int64(max(1, lifetime / .milliseconds(1))))
                writer.argument("NX" as StaticString)
            },
            { reply($0.decoded("SET") { $0.isNull ? nil : () }) })
    }

    /// Removes a ticket and answers it. Nil if there is none.
    public func take(_ name: String, reply: @escaping (Result<Ticket?, StoreError>) -> Void) {
        fetch("GETDEL", name) { reply($0.map { $0?.ticket }) }
    }

    /// Reads a ticket and keeps it. Nil if there is none.
    public func read(_ name: String, reply: @escaping (Result<StoredTicket?, StoreError>) -> Void) {
        fetch("GET", name, reply)
    }

    private func fetch(_ command: StaticString, _ name: String, _ reply: @escaping (Result<StoredTicket?, StoreError>) -> Void) {
        client.send(
            arguments: 2,
            { writer in
                writer.argument(command)
                keys.write("tickets:", bytes(name), to: &writer)
            },
            { result in
                reply(
                    result.decoded("GET ticket") { value in
                        if value.isNull { return .some(nil) }
                        guard let bytes = value.bytes, let ticket = Ticket(bytes.span) else { return nil }
                        return StoredTicket(ticket: ticket, bytes: bytes)
                    })
            })
    }

    /// Replaces a ticket that was read, and moves its end to the token's `exp`. If the ticket has gone, or another use has
    /// changed it since it was read, the call changes nothing and answers false.
    public func replace(
        _ name: String, _ old: StoredTicket, with new: Ticket, reply: @escaping (Result<Bool, StoreError>) -> Void
    ) {
        client.eval(
            Self.replaceScript, arguments: 4,
            { writer in
                keys.write("tickets:", bytes(name), to: &writer)
                writer.argument(old.bytes)
                writer.argument(new.encoded())
                writer.argument(new.expires)
            },
            { reply($0.decoded("replace") { $0.integer.map { $0 == 1 } }) })
    }

    /// KEYS: ticket. ARGV: the value that must be there, the new value, its end in seconds since 1970.
    static let replaceScript = RedisScript(
        "replace", keys: 1,
        """
        if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], ARGV[2], 'EXAT', ARGV[3])
        return 1
        """)
}
