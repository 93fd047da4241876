internal import EventLoop
public import Models
public import Redis

/// What renewing a lease tells a gateway.
public enum Renewal: Equatable, Sendable {
    /// The lease's new count, and the number of the latest batch that was published for this gateway.
    case renewed(count: UInt64, sequence: UInt64)
    /// The counter is gone: swept, or another Redis. The instance is dead; take a new one and register everybody again.
    case gone
}

/// One gateway's lease, as the others see it.
public struct Lease: Equatable, Sendable {
    public var instance: InstanceID
    /// How often it was renewed; nil once it is condemned.
    public var count: UInt64?

    public init(instance: InstanceID, count: UInt64?) {
        self.instance = instance
        self.count = count
    }

    static func leases(_ value: RedisValue) -> [Lease]? {
        guard let parts = value.array else { return nil }
        return stride(from: 0, to: parts.count - 1, by: 2).compactMap { index in
            guard let instance = parts[index].text.flatMap({ InstanceID($0) }), let count = parts[index + 1].integer else {
                return nil
            }
            return Lease(instance: instance, count: UInt64(exactly: count))
        }
    }
}

/// Gateways' leases. With its lease an instance's numbers of batches begin and end (`Router`). Confined to its client's loop.
public struct Gateways {
    let client: RedisClient
    let keys: Keyspace
    let witness: Witness

    public init(_ client: RedisClient, _ keys: Keyspace, witness: Witness = Witness()) {
        self.client = client
        self.keys = keys
        self.witness = witness
    }

    /// Begins an instance's lease, and its numbering of batches at 0. Before its first route.
    public func enrol(_ instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        lease(Self.enrolScript, instance) { reply($0.done) }
    }

    /// Advances the lease; to be called every `LEASE_INTERVAL`. Learns what Redis holds: the generation, too.
    public func renew(_ instance: InstanceID, reply: @escaping (Result<Renewal, StoreError>) -> Void) {
        client.eval(
            Self.renewScript, arguments: 7,
            { writer in
                keys.write("gateways", [], to: &writer)
                keys.write("gateway:{", bytes(instance.text), "}:sequence", to: &writer)
                keys.write("generation", [], to: &writer)
                writer.argument(instance.text)
                witness.write(at: client.loop.now, to: &writer)
            },
            { result in
                reply(
                    result.decoded("renew") { value in
                        guard let parts = value.array, parts.count >= 4, witness.learn(parts[..<4]) else { return nil }
                        if parts.count == 4 { return .gone }
                        guard parts.count == 6, let count = parts[4].unsigned, let sequence = parts[5].unsigned else { return nil }
                        return .renewed(count: count, sequence: sequence)
                    })
            })
    }

    /// Ends an instance: its field and its keys go. After its last route. May be repeated.
    public func withdraw(_ instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        lease(Self.withdrawScript, instance) { reply($0.done) }
    }

    /// Condemns an instance whose counter still stands at `count`: from here on its renewals find it gone, so that it cannot
    /// come back to life while its routes are swept. Answers whether it is condemned, or gone, now.
    public func condemn(
        _ instance: InstanceID, ifCountIs count: UInt64, reply: @escaping (Result<Bool, StoreError>) -> Void
    ) {
        lease(Self.condemnScript, instance, String(count)) { reply($0.decoded("condemn") { $0.integer.map { $0 == 1 } }) }
    }

    private func lease(_ script: RedisScript, _ instance: InstanceID, _ extra: String? = nil, _ reply: @escaping RedisClient.Reply) {
        client.eval(
            script, arguments: extra == nil ? 3 : 4,
            { writer in
                keys.write("gateways", [], to: &writer)
                keys.write("gateway:{", bytes(instance.text), "}:sequence", to: &writer)
                writer.argument(instance.text)
                if let extra { writer.argument(extra) }
            }, reply)
    }

    /// All leases, if Redis can be written to; else an error. What stands still while it cannot stands still for that reason.
    public func look(reply: @escaping (Result<[Lease], StoreError>) -> Void) {
        client.eval(
            Self.lookScript, arguments: 2,
            { writer in
                keys.write("gateways", [], to: &writer)
                keys.write("gateways:looked", [], to: &writer)
            },
            { reply($0.decoded("look", Lease.leases)) })
    }

    /// All leases.
    public func leases(reply: @escaping (Result<[Lease], StoreError>) -> Void) {
        client.send(
            arguments: 2,
            { writer in
                writer.argument("HGETALL" as StaticString)
                keys.write("gateways", [], to: &writer)
            },
            { reply($0.decoded("HGETALL gateways", Lease.leases)) })
    }

    // MARK: Scripts (KEYS: gateways, sequence; ARGV: instance)

    static let enrolScript = RedisScript(
        "enrol", keys: 2,
        """
        redis.call('HSET', KEYS[1], ARGV[1], 0)
        redis.call('SET', KEYS[2], 0)
        return 1
        """)

    /// KEYS[3]: generation. ARGV: instance, generation, beats, and what Redis's clock should say (0: whatever it says).
    /// Answers what `confirm` does, then, if the lease stands, its count and the latest batch's number.
    ///
    /// A beat is noted with a time that is believed: who comes new compares the clock with that.
    static let renewScript = RedisScript(
        "renew", keys: 3,
        Lua.clock + Lua.generation + """
            local count = redis.call('HGET', KEYS[1], ARGV[1])
            local sequence = tonumber(redis.call('GET', KEYS[2]) or 0)
            local isGone = not count or tonumber(count) < 0
            local reply = confirm(KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3]), false, now)
            if isGone then return reply end
            reply[5], reply[6] = redis.call('HINCRBY', KEYS[1], ARGV[1], 1), sequence
            local told, expected = now, tonumber(ARGV[4])
            if expected > 0 and math.abs(told - expected) > 3600000 then now = expected end
            reply[2] = redis.call('HINCRBY', KEYS[3], 'beats', 1)
            redis.call('HSET', KEYS[3], 'at', now)
            return reply
            """)

    /// KEYS: gateways, the time of the latest look.
    static let lookScript = RedisScript(
        "look", keys: 2,
        """
        redis.call('SET', KEYS[2], redis.call('TIME')[1])
        return redis.call('HGETALL', KEYS[1])
        """)

    /// ARGV[2]: the count at which it stood still. A count of -1 says that the instance is condemned.
    static let condemnScript = RedisScript(
        "condemn", keys: 2,
        """
        local count = redis.call('HGET', KEYS[1], ARGV[1])
        if not count or tonumber(count) < 0 then return 1 end
        if count ~= ARGV[2] then return 0 end
        redis.call('HSET', KEYS[1], ARGV[1], -1)
        return 1
        """)

    static let withdrawScript = RedisScript(
        "withdraw", keys: 2,
        """
        redis.call('HDEL', KEYS[1], ARGV[1])
        redis.call('DEL', KEYS[2])
        return 1
        """)
}
