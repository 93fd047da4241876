public import Models
public import Redis

/// What became of a revocation.
public struct Announced: Equatable, Sendable {
    /// Gateways with a lease.
    public var gateways: Int
    /// Those of them that listened; the others find out when they notice that they missed a batch.
    public var heard: Int
}

/// What has been revoked, in Redis, each entry for as long as it can matter. Confined to its client's loop.
public struct Revocations {
    let client: RedisClient
    let keys: Keyspace
    private let gateways: Gateways
    private let router: RedisRouter

    public init(_ client: RedisClient, _ keys: Keyspace) {
        self.client = client
        self.keys = keys
        gateways = Gateways(client, keys)
        router = RedisRouter(client, keys)
    }

    /// Whether a token is revoked; one command, and one more for a token with a `jti`. The two lie in different slots and are
    /// answered in any order; so is whatever else is asked for the person meanwhile.
    /// - Parameters:
    ///   - token: the `TokenClaims.idHash`; 0 for a token without a `jti`.
    ///   - issued: its `iat`, 0 where it has none.
    public func isRevoked(
        _ person: PersonID, token: UInt64, issued: Int64, reply: @escaping (Result<Bool, StoreError>) -> Void
    ) {
        guard token != 0 else { return isRevoked(person, issued, reply) }
        var first: Result<Bool, StoreError>?
        // One of the two that says yes decides, whatever became of the other.
        let take = { (result: Result<Bool, StoreError>) in
            guard let other = first else { return first = result }
            let isRevoked = [other, result].contains { if case .success(true) = $0 { true } else { false } }
            reply(isRevoked ? .success(true) : other.flatMap { _ in result })
        }
        client.send(
            arguments: 2,
            { writer in
                writer.argument("EXISTS" as StaticString)
                keys.write("revoked:jti:", bytes(digits(of: token)), to: &writer)
            },
            { take($0.decoded("EXISTS revoked:jti") { $0.integer.map { $0 == 1 } }) })
        isRevoked(person, issued, take)
    }

    /// Whether all of the person's tokens of that time are.
    private func isRevoked(_ person: PersonID, _ issued: Int64, _ reply: @escaping (Result<Bool, StoreError>) -> Void) {
        client.send(
            arguments: 2,
            { writer in
                writer.argument("GET" as StaticString)
                keys.write("revoked:", keys.tag(person), to: &writer)
            },
            { result in
                reply(result.decoded("GET revoked") { value in value.isNull ? false : value.integer.map { issued < $0 } })
            })
    }

    /// Stores a revocation, then tells every gateway. May be repeated; a failure says nothing about what has happened.
    /// - Parameter lifetime: for how long tokens of that kind could still be good.
    public func revoke(
        _ revocation: Revocation, lifetime: Duration, reply: @escaping (Result<Announced, StoreError>) -> Void
    ) {
        store(revocation, Int64(max(1, lifetime / .milliseconds(1)))) { result in
            switch result {
            case .success: announce(revocation, reply)
            case .failure(let error): reply(.failure(error))
            }
        }
    }

    private func store(
        _ revocation: Revocation, _ milliseconds: Int64, _ reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        switch revocation {
        case .token(let hash):
            client.send(
                arguments: 5,
                { writer in
                    writer.argument("SET" as StaticString)
                    keys.write("revoked:jti:", bytes(digits(of: hash)), to: &writer)
                    writer.argument(1)
                    writer.argument("PX" as StaticString)
                    writer.argument(milliseconds)
                },
                { reply($0.decoded("SET revoked:jti") { $0.isNull ? nil : () }) })
        case .person(let person, let before):
            let tag = keys.tag(person)
            client.eval(
                Self.revokeScript, arguments: 3,
                { writer in
                    keys.write("revoked:", tag, to: &writer)
                    writer.argument(before)
                    writer.argument(milliseconds)
                },
                { reply($0.decoded("revoke") { $0.integer.map { _ in () } }) })
        }
    }

    /// A gateway that enrols after this list was read registers nobody before what is revoked already stands in Redis.
    private func announce(_ revocation: Revocation, _ reply: @escaping (Result<Announced, StoreError>) -> Void) {
        let line = revocation.controlLine()
        gateways.leases { result in
            guard case .success(let leases) = result else { return reply(result.map { _ in Announced(gateways: 0, heard: 0) }) }
            guard !leases.isEmpty else { return reply(.success(Announced(gateways: 0, heard: 0))) }
            let gathering = Gathering<Published>(count: leases.count) { result in
                reply(result.map { Announced(gateways: leases.count, heard: $0.count { $0.receivers > 0 }) })
            }
            for (index, lease) in leases.enumerated() {
                var batch = GatewayBatch()
                batch.recipient(.everyone, nil, accepted: 0)
                batch.end(line, line.indices)
                router.publish(batch.take(), to: lease.instance) { gathering.take($0, at: index) }
            }
        }
    }

    /// KEYS: revoked. ARGV: before, lifetime in ms. A later cut stays where an earlier one comes behind it.
    static let revokeScript = RedisScript(
        "revoke", keys: 1,
        """
        local before = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[1]))
        redis.call('SET', KEYS[1], string.format('%.0f', before), 'PX', ARGV[2])
        return 1
        """)
}
