public import Kafka
public import Redis

extension DependencySource {
    /// For a Redis client's or subscriber's `onState`.
    public func report(_ state: RedisState) {
        switch state {
        case .up: up()
        case .down(let reason), .refused(let reason): down(.configured(reason))
        }
    }

    /// For a Redis client's `onWrites`: one that takes no writes is down to whoever writes.
    public func report(_ writes: RedisWrites) {
        switch writes {
        case .taken: up()
        case .refused(let error): down(.error(error))
        }
    }

    /// For a Kafka pipeline's or producer's `onState`.
    public func report(_ state: BrokerState) {
        switch state {
        case .up: up()
        case .down(let reason): down(.configured(reason))
        }
    }
}

/// The server's own text is cut to its first word in the description, for the rest may quote arguments.
extension RedisError: LogReason {
    public var logText: String { description }
}

/// librdkafka's reasons name brokers, topics and properties, and nothing of a record.
extension KafkaError: LogReason {
    public var logText: String { description }
}
