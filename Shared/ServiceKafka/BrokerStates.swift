public import Kafka
public import ServiceRuntime

extension DependencySource {
    /// For a pipeline's or producer's `onState`.
    public func report(_ state: BrokerState) {
        switch state {
        case .up: up()
        case .down(let reason): down(.configured(reason))
        }
    }
}

/// librdkafka's reasons name brokers, topics and properties, and nothing of a record.
extension KafkaError: LogReason {
    public var logText: String { description }
}
