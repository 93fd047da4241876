public import Models
public import Redis

/// What a ticket stands for: a token that was checked when the ticket was made.
public struct Ticket: Equatable, Sendable {
    public var person: PersonID
    /// The token's `exp`, in seconds since 1970.
    public var expires: Int64
    public var channels: [String]
    /// The token's `info`: JSON as it stood there.
    public var info: [UInt8]?
    public var device: String?
    /// The token's `jti` and `iat`, as revocations know them; 0 where it has none.
    public var token: UInt64
    public var issued: Int64
    /// Where the first use over SSE began; nil before it.
    public var start: StreamPosition?
    /// The connection of the latest use over SSE, as `ConnectionID` writes it.
    public var connection: String?

    public init(
        person: PersonID, expires: Int64, channels: [String] = [], info: [UInt8]? = nil, device: String? = nil,
        token: UInt64 = 0, issued: Int64 = 0, start: StreamPosition? = nil, connection: String? = nil
    ) {
        self.person = person
        self.expires = expires
        self.channels = channels
        self.info = info
        self.device = device
        self.token = token
        self.issued = issued
        self.start = start
        self.connection = connection
    }
}

/// A ticket as it was read, to be replaced only if nobody has changed it since.
public struct StoredTicket: Equatable, Sendable {
    public var ticket: Ticket
    fileprivate let bytes: [UInt8]
}

/// Tickets for URLs. The name of one is a secret of its bearer. Confined to its client's loop.
public struct Tickets {
    let client: RedisClient
    let keys: Keyspace

    public init(_ client: RedisClient, _ keys: Keyspace) {
        self.client = client
        self.keys = keys
    }

    /// Stores a new ticket that ends after `lifetime`.
    public func create(
        _ name: String, _ ticket: Ticket, lifetime: Duration, reply: @escaping (Result<Void, RedisError>) -> Void
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

    /// Takes a ticket away: whoever brings it next is told that there is none. Nil if there is none.
    public func take(_ name: String, reply: @escaping (Result<Ticket?, RedisError>) -> Void) {
        fetch("GETDEL", name) { reply($0.map { $0?.ticket }) }
    }

    /// Reads a ticket and leaves it. Nil if there is none.
    public func read(_ name: String, reply: @escaping (Result<StoredTicket?, RedisError>) -> Void) {
        fetch("GET", name, reply)
    }

    private func fetch(_ command: StaticString, _ name: String, _ reply: @escaping (Result<StoredTicket?, RedisError>) -> Void) {
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

    /// Puts `new` in the place of what was read and moves its end to the token's `exp`. Answers false, and changes
    /// nothing, if the ticket has gone or another use has changed it since it was read.
    public func replace(
        _ name: String, _ old: StoredTicket, with new: Ticket, reply: @escaping (Result<Bool, RedisError>) -> Void
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

    /// KEYS: ticket. ARGV: what must stand there, what shall, its end in seconds since 1970.
    static let replaceScript = RedisScript(
        "replace", keys: 1,
        """
        if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], ARGV[2], 'EXAT', ARGV[3])
        return 1
        """)
}

extension Ticket {
    func encoded() -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.raw(#"{"person":"#)
        writer.string(person.text)
        writer.raw(#","exp":"#)
        writer.integer(expires)
        writer.raw(#","channels":["#)
        for (index, channel) in channels.enumerated() {
            if index > 0 { writer.raw(",") }
            writer.string(channel)
        }
        writer.raw("]")
        if let info {
            writer.raw(#","info":"#)
            writer.raw(info)
        }
        if let device {
            writer.raw(#","device":"#)
            writer.string(device)
        }
        if token != 0 { writer.raw(#","jti":""# + digits(of: token) + "\"") }
        if issued != 0 {
            writer.raw(#","iat":"#)
            writer.integer(issued)
        }
        if let start {
            writer.raw(#","start":""# + start.description + "\"")
        }
        if let connection {
            writer.raw(#","connection":"#)
            writer.string(connection)
        }
        writer.raw("}")
        return writer.take()
    }

    /// Nil if the bytes are no ticket.
    init?(_ bytes: Span<UInt8>) {
        do throws(JSONError) {
            guard let ticket = try Self.read(bytes) else { return nil }
            self = ticket
        } catch {
            return nil
        }
    }

    private static func read(_ bytes: Span<UInt8>) throws(JSONError) -> Ticket? {
        var at = 0
        var person: PersonID?
        var expires: Int64?
        var (device, connection, start): (String?, String?, String?)
        var info: [UInt8]?
        var channels: [String] = []
        var (token, issued): (UInt64, Int64) = (0, 0)
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSON.text(bytes, name) {
            case "person": person = PersonID(JSON.text(bytes, try JSON.string(bytes, &at)))
            case "exp": expires = try JSON.integer(bytes, &at)
            case "device": device = JSON.text(bytes, try JSON.string(bytes, &at))
            case "connection": connection = JSON.text(bytes, try JSON.string(bytes, &at))
            case "jti": token = number(ofDigits: JSON.text(bytes, try JSON.string(bytes, &at))) ?? 0
            case "iat": issued = try JSON.integer(bytes, &at)
            case "start": start = JSON.text(bytes, try JSON.string(bytes, &at))
            case "info": info = try JSON.value(bytes, &at).map { bytes[$0] }
            case "channels":
                var elements = try JSONElements(bytes, &at)
                while try elements.next(bytes, &at) { channels.append(JSON.text(bytes, try JSON.string(bytes, &at))) }
            default: _ = try JSON.value(bytes, &at)
            }
        }
        guard let person, let expires else { return nil }
        return Ticket(
            person: person, expires: expires, channels: channels, info: info, device: device,
            token: token, issued: issued, start: start.flatMap { StreamPosition($0) }, connection: connection)
    }
}
