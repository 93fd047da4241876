internal import Kafka
internal import Settings

/// The topics that a deployment starts with. Events of another domain make theirs by their first record.
enum ClusterTopics {
    static let domains = ["social", "message", "channel", "transaction", "system", "marketing"]
    static let lanes = ["high", "normal", "low"]

    static let all: [NewTopic] =
        domains.map { NewTopic(name: "events.\($0)", partitions: ClusterPlan.partitions) }
        + ["notifications", "push"].flatMap { group in
            lanes.map { NewTopic(name: "\(group).\($0)", partitions: ClusterPlan.partitions) }
        }
        + [NewTopic(name: "push.retry.apns", partitions: ClusterPlan.partitions)]
        // Seldom written, read by people, kept for ever: one partition keeps them in order.
        + ["events.dlq", "notifications.dlq", "push.dlq"]
        .map { NewTopic(name: $0, partitions: 1, settings: ["retention.ms": "-1"]) }

    /// Makes those that are missing on the brokers; answers how many. Blocks its thread.
    static func make(brokers: String, environment: Environment) throws -> Int {
        let settings = KafkaSettings(
            brokers: brokers, properties: try environment.optional(Common.kafkaProperties) ?? [],
            namespace: try environment.optional(Common.namespace) ?? "", instanceID: "topics")
        let topics = all.map { NewTopic(name: settings.topic($0.name), partitions: $0.partitions, settings: $0.settings) }
        return try KafkaInspector(settings).create(topics).count
    }
}
