public import Models
public import Redis

/// Batches over Redis's sharded Pub/Sub: one channel for each instance, and one counter. Confined to its client's loop.
///
/// The counter is the key `gateway:{<instance>}:sequence`. `Gateways.enrol` begins it, `Gateways.renew` answers it, and
/// `Gateways.withdraw` removes it.
public struct RedisRouter: Router {
    private let client: RedisClient
    private let keys: Keyspace

    public init(_ client: RedisClient, _ keys: Keyspace) {
        self.client = client
        self.keys = keys
    }

    public func publish(
        _ lines: [UInt8], to instance: InstanceID, reply: @escaping (Result<Published, StoreError>) -> Void
    ) {
        let name = bytes(instance.text)
        client.eval(
            Self.publishScript, arguments: 3,
            { writer in
                keys.write("gateway:{", name, "}:sequence", to: &writer)
                keys.write("gateway:{", name, "}", to: &writer)
                writer.argument(lines)
            },
            { result in
                reply(
                    result.decoded("publish") { value in
                        guard let parts = value.array, parts.count == 2, let sequence = parts[0].unsigned,
                            let receivers = parts[1].integer
                        else { return nil }
                        return Published(sequence: sequence, receivers: Int(clamping: receivers))
                    })
            })
    }

    /// The connection is a further one. It is not asked by itself whether it lives: the renewal of the lease tells of what it did
    /// not bring, and who misses something probes it.
    public func subscription(to instance: InstanceID) -> any BatchSubscription {
        RedisSubscription(client.subscriber(to: keys.channel(of: instance), idlePing: nil))
    }

    /// KEYS: sequence, channel. ARGV: lines.
    /// A gateway that has left has no counter, and must not get one back: nobody would ever remove it.
    static let publishScript = RedisScript(
        "publish", keys: 2,
        """
        if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0} end
        local sequence = redis.call('INCR', KEYS[1])
        local head = '{"v":1,"n":' .. string.format('%.0f', sequence) .. '}\\n'
        return {sequence, redis.call('SPUBLISH', KEYS[2], head .. ARGV[1])}
        """)
}

/// The subscriber with its states as the store has them; a message goes from the subscriber to whoever hears it.
private final class RedisSubscription: BatchSubscription {
    private let subscriber: RedisSubscriber

    init(_ subscriber: RedisSubscriber) { self.subscriber = subscriber }

    var onBatch: (([UInt8]) -> Void)? {
        get { subscriber.onMessage }
        set { subscriber.onMessage = newValue }
    }
    var onState: ((StoreState) -> Void)? {
        didSet {
            let tell = onState
            subscriber.onState = { tell?(StoreState($0)) }
        }
    }
    var isUp: Bool { subscriber.isUp }

    func start() { subscriber.start() }
    func probe() { subscriber.probe() }
    func close() { subscriber.close() }
}
