/// The partitions that the group gave this member, and the topics that went with an assignment that was lost. Pure.
///
/// A group that has forgotten a member takes all from it at once. In 2.0.2 the member then joins with the topics that it knew, and if one
/// of them is not there at that moment, it gets no partition of it. Once the topic is there again, with as many partitions as before,
/// librdkafka sees no change and never joins for it (`rd_kafka_cgrp_update_subscribed_topics`). So whoever misses a topic asks again.
struct Assignment {
    private(set) var partitions: [PartitionOffset] = []
    /// The topics of the assignment that was lost last, until the next one.
    private var lost: Set<String> = []

    /// After an assignment in which a topic is missing: when to join again. By then the metadata have been asked for twice.
    static let pause = Duration.seconds(7)

    /// The group forgot this member.
    mutating func lose() { lost.formUnion(partitions.map(\.topic)) }

    /// The group gave these. Answers whether a topic is missing that the member had before it was forgotten: it is another member's
    /// now, or was not there.
    mutating func give(_ partitions: [PartitionOffset]) -> Bool {
        defer { lost = [] }
        self.partitions = partitions
        return !lost.isSubset(of: partitions.map(\.topic))
    }
}
