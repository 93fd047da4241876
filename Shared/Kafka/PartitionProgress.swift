/// How far the group has passed in each partition of this member's assignment, and how much is left.
struct PartitionProgress {
    struct Partition: Hashable {
        let topic: String
        let number: Int32
    }

    private struct State {
        /// Where the group goes on, as far as this member has moved it.
        var passed: Int64?
        /// The end, when reading last reached it. Between the last record and the end there are only markers of transactions.
        var end: Int64?
        /// The offset that the next record of the partition will have, as it was seen last.
        var high: Int64 = 0
        /// How often in a row that offset was before the position of the group.
        var looksBehind = 0
    }

    private var states: [Partition: State] = [:]
    /// How often a partition began again: somebody deleted its topic and made it again.
    private(set) var restarts = 0

    var partitions: [Partition] { Array(states.keys) }

    /// Replaces the assignment.
    mutating func assign(_ partitions: [PartitionOffset]) {
        states = [:]
        for partition in partitions { states[Partition(topic: partition.topic, number: partition.partition)] = State() }
    }

    /// - Returns: the topics that were made again. A group never goes back otherwise.
    mutating func pass(_ offsets: [PartitionOffset]) -> [String] {
        var remade: [String] = []
        for offset in offsets {
            let partition = Partition(topic: offset.topic, number: offset.partition)
            if let passed = states[partition]?.passed, offset.next < passed { remade.append(restart(partition)) }
            states[partition]?.passed = offset.next
        }
        return remade
    }

    /// Reading has reached the end of a partition.
    mutating func reached(_ end: PartitionOffset) {
        states[Partition(topic: end.topic, number: end.partition)]?.end = end.next
    }

    /// The broker has said where a partition ends.
    /// - Returns: the topic, if it was made again. Then it ends before the position of the group, and for longer than a new leader
    ///   takes to learn where the partition ends.
    mutating func high(_ partition: Partition, _ high: Int64) -> String? {
        guard high >= 0, let state = states[partition] else { return nil }
        states[partition]?.high = high
        let looksBehind = high < state.passed ?? 0 ? state.looksBehind + 1 : 0
        states[partition]?.looksBehind = looksBehind
        return looksBehind < 2 ? nil : restart(partition)
    }

    /// Records (and markers of transactions) between the position of the group and the end; `nil` while nothing is known of the
    /// partition.
    /// - Parameter waiting: the offset of its first record that was read and has not passed.
    func lag(_ partition: Partition, waiting: Int64?) -> Int64? {
        guard let state = states[partition] else { return nil }
        guard let next = waiting ?? [state.passed, state.end].compactMap({ $0 }).max() else { return nil }
        return max(0, max(state.high, state.end ?? 0) - next)
    }

    private mutating func restart(_ partition: Partition) -> String {
        restarts += 1
        states[partition] = State()
        return partition.topic
    }
}

/// How much of a partition has not passed.
public struct PartitionLag: Equatable, Sendable {
    /// With the namespace.
    public let topic: String
    public let partition: Int32
    public let records: Int64
}
