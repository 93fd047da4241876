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
public struct Gateways: LeaseRegistry {
    let client: RedisClient
    let keys: Keyspace
    let witness: Witness

    public init(_ client: RedisClient, _ keys: Keyspace, witness: Witness = Witness()) {
        self.client = client
        self.keys = keys
        self.witness = witness
    }

    // A lease, its instance's batch numbers and the generation lie in three slots, and no script changes two of them
    // (decision 0029). Each call below says in which order it writes, and why what a crash leaves between is swept.

    /// Begins an instance's lease, and its numbering of batches at 0. Before its first route. May be repeated.
    ///
    /// The lease comes first: an instance that dies before its numbering has begun is found by its lease and swept.
    public func enrol(_ instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        lease("HSET", instance, 0) { result in
            if case .failure(let error) = result { return reply(.failure(StoreError(error))) }
            client.send(
                arguments: 3,
                { writer in
                    writer.argument("SET" as StaticString)
                    writeSequence(instance, to: &writer)
                    writer.argument(0)
                },
                { reply($0.done) })
        }
    }

    /// Advances the lease; to be called every `LEASE_INTERVAL`. Learns what Redis holds: the generation, too.
    ///
    /// Three commands at once, whose order does not matter. One that fails fails the call, though the lease may have
    /// advanced: the next call tells.
    public func renew(_ instance: InstanceID, reply: @escaping (Result<Renewal, StoreError>) -> Void) {
        let parts = Gathering<UInt64?>(count: 3) { result in
            reply(
                result.map { parts in
                    guard let count = parts[1], let sequence = parts[2] else { return .gone }
                    return .renewed(count: count, sequence: sequence)
                })
        }
        client.eval(
            Self.beatScript, arguments: 4,
            { writer in
                keys.write("generation", [], to: &writer)
                witness.write(at: client.loop.now, to: &writer)
            },
            { result in
                parts.take(
                    result.decoded("beat") { value in
                        guard let told = value.array, told.count == 4, witness.learn(told[...]) else { return nil }
                        return .some(nil)
                    }, at: 0)
            })
        client.eval(
            Self.renewScript, arguments: 2,
            { writer in
                keys.write("gateways", [], to: &writer)
                writer.argument(instance.text)
            },
            { parts.take($0.decoded("renew") { $0.isNull ? .some(nil) : $0.unsigned.map { .some($0) } }, at: 1) })
        client.send(
            arguments: 2,
            { writer in
                writer.argument("GET" as StaticString)
                writeSequence(instance, to: &writer)
            },
            { parts.take($0.decoded("GET sequence") { $0.isNull ? 0 : $0.unsigned.map { .some($0) } }, at: 2) })
    }

    /// Ends an instance: its field and its keys go. After its last route. May be repeated.
    ///
    /// The lease goes last: whoever finds it after a crash between the two withdraws it again.
    public func withdraw(_ instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void) {
        client.send(
            arguments: 2,
            { writer in
                writer.argument("DEL" as StaticString)
                writeSequence(instance, to: &writer)
            },
            { result in
                if case .failure(let error) = result { return reply(.failure(StoreError(error))) }
                lease("HDEL", instance) { reply($0.done) }
            })
    }

    /// Condemns an instance whose counter still stands at `count`: from here on its renewals find it gone, so that it cannot
    /// come back to life while its routes are swept. Answers whether it is condemned, or gone, now.
    public func condemn(
        _ instance: InstanceID, ifCountIs count: UInt64, reply: @escaping (Result<Bool, StoreError>) -> Void
    ) {
        client.eval(
            Self.condemnScript, arguments: 3,
            { writer in
                keys.write("gateways", [], to: &writer)
                writer.argument(instance.text)
                writer.argument(String(count))
            },
            { reply($0.decoded("condemn") { $0.integer.map { $0 == 1 } }) })
    }

    /// One command for an instance's field of `gateways`.
    private func lease(
        _ command: StaticString, _ instance: InstanceID, _ value: Int64? = nil, _ reply: @escaping RedisClient.Reply
    ) {
        client.send(
            arguments: value == nil ? 3 : 4,
            { writer in
                writer.argument(command)
                keys.write("gateways", [], to: &writer)
                writer.argument(instance.text)
                if let value { writer.argument(value) }
            }, reply)
    }

    private func writeSequence(_ instance: InstanceID, to writer: inout RESPWriter) {
        keys.write("gateway:{", bytes(instance.text), "}:sequence", to: &writer)
    }

    /// All leases, if Redis can be written to; else an error. What stands still while it cannot stands still for that reason.
    public func look(reply: @escaping (Result<[Lease], StoreError>) -> Void) {
        client.eval(
            Self.lookScript, arguments: 2,
            { writer in
                keys.write("gateways", [], to: &writer)
                keys.write(besides: "gateways", ":looked", to: &writer)
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

    // MARK: Scripts

    /// KEYS: generation. ARGV: generation, beats, and what Redis's clock should say (0: whatever it says). Answers what
    /// `confirm` does, with the beat that this is.
    ///
    /// A beat is noted with a time that is believed: who comes new compares the clock with that.
    static let beatScript = RedisScript(
        "beat", keys: 1,
        Lua.clock + Lua.generation + """
            local reply = confirm(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), false, now)
            local expected = tonumber(ARGV[3])
            if expected > 0 and math.abs(now - expected) > 3600000 then now = expected end
            reply[2] = redis.call('HINCRBY', KEYS[1], 'beats', 1)
            redis.call('HSET', KEYS[1], 'at', now)
            return reply
            """)

    /// KEYS: gateways. ARGV: instance. Answers its count, or nothing if the lease is gone or condemned.
    static let renewScript = RedisScript(
        "renew", keys: 1,
        """
        local count = redis.call('HGET', KEYS[1], ARGV[1])
        if not count or tonumber(count) < 0 then return false end
        return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
        """)

    /// KEYS: gateways, the time of the latest look.
    static let lookScript = RedisScript(
        "look", keys: 2,
        """
        redis.call('SET', KEYS[2], redis.call('TIME')[1])
        return redis.call('HGETALL', KEYS[1])
        """)

    /// KEYS: gateways. ARGV: instance, the count at which it stood still. A count of -1 says that the instance is condemned.
    static let condemnScript = RedisScript(
        "condemn", keys: 1,
        """
        local count = redis.call('HGET', KEYS[1], ARGV[1])
        if not count or tonumber(count) < 0 then return 1 end
        if count ~= ARGV[2] then return 0 end
        redis.call('HSET', KEYS[1], ARGV[1], -1)
        return 1
        """)
}
