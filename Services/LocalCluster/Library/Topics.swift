/// The topics that a cluster starts with. Events of another domain make theirs by their first record.
enum Topics {
    struct Topic: Equatable {
        var name: String
        var partitions: Int
    }

    static let domains = ["social", "message", "channel", "transaction", "system", "marketing"]
    static let lanes = ["high", "normal", "low"]

    static let all: [Topic] =
        domains.map { Topic(name: "events.\($0)", partitions: ClusterPlan.partitions) }
        + ["notifications", "push"].flatMap { group in
            lanes.map { Topic(name: "\(group).\($0)", partitions: ClusterPlan.partitions) }
        }
        // Seldom written, read by people: one partition keeps them in order.
        + ["events.dlq", "notifications.dlq", "push.dlq"].map { Topic(name: $0, partitions: 1) }
}
