public import Models
public import Redis

/// Some members of an audience.
public struct MemberPage: Equatable, Sendable {
    public var members: [PersonID]
    /// There are no members behind these.
    public var isLast: Bool

    public init(members: [PersonID], isLast: Bool) {
        self.members = members
        self.isLast = isLast
    }
}

/// Who belongs to an audience (`channel:<channel>`, `followers:<person>`). Confined to its client's loop.
public struct Audiences {
    /// The most members of one call.
    public static let maximumMembers = 1_000

    let client: RedisClient
    let keys: Keyspace

    public init(_ client: RedisClient, _ keys: Keyspace) {
        self.client = client
        self.keys = keys
    }

    /// Adds members, and answers how many there are afterwards. May be repeated.
    public func add(_ members: [PersonID], to audience: String, reply: @escaping (Result<Int, StoreError>) -> Void) {
        change(adds: true, members, audience, reply)
    }

    /// Removes members, and answers how many there are afterwards. May be repeated.
    public func remove(_ members: [PersonID], from audience: String, reply: @escaping (Result<Int, StoreError>) -> Void) {
        change(adds: false, members, audience, reply)
    }

    private func change(
        adds: Bool, _ members: [PersonID], _ audience: String, _ reply: @escaping (Result<Int, StoreError>) -> Void
    ) {
        precondition(members.count <= Self.maximumMembers, "members out of bounds")
        var failure: StoreError?
        if !members.isEmpty {
            client.send(
                arguments: 2 + members.count * (adds ? 2 : 1),
                { writer in
                    writer.argument(adds ? "ZADD" : "ZREM" as StaticString)
                    write(audience, to: &writer)
                    for member in members {
                        if adds { writer.argument(0) }
                        writer.argument(member.text)
                    }
                },
                { if case .failure(let error) = $0 { failure = StoreError(error) } })
        }
        client.send(
            arguments: 2,
            { writer in
                writer.argument("ZCARD" as StaticString)
                write(audience, to: &writer)
            },
            { result in
                reply(failure.map { .failure($0) } ?? result.decoded("ZCARD") { $0.integer.map { Int(clamping: $0) } })
            })
    }

    /// One page of members in the order of their bytes, after `last` (from the beginning if nil).
    /// A member who is added or removed meanwhile may be missed. One who stays is not missed.
    public func members(
        of audience: String, after last: PersonID?, limit: Int, reply: @escaping (Result<MemberPage, StoreError>) -> Void
    ) {
        client.send(
            arguments: 8,
            { writer in
                writer.argument("ZRANGE" as StaticString)
                write(audience, to: &writer)
                writer.argument(last.map { "(" + $0.text } ?? "-")
                writer.argument("+" as StaticString)
                writer.argument("BYLEX" as StaticString)
                writer.argument("LIMIT" as StaticString)
                writer.argument(0)
                writer.argument(Int64(limit))
            },
            { result in
                reply(
                    result.decoded("ZRANGE") { value in
                        guard let parts = value.array else { return nil }
                        let members = parts.compactMap { $0.bytes.flatMap { PersonID($0.span) } }
                        return MemberPage(members: members, isLast: parts.count < limit)
                    })
            })
    }

    /// `audience:{a}`.
    private func write(_ audience: String, to writer: inout RESPWriter) {
        keys.write("audience:{", bytes(audience), "}", to: &writer)
    }
}
