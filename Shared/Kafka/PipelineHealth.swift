/// What a pipeline says of itself: whether the broker answers, whether the group has given this member its part, and whether what it
/// has in hand passes. It is up from its first assignment on, be it empty, and down while a batch does not pass.
struct PipelineHealth {
    /// A batch that has not passed for this long, in ms, is told.
    static let patience: UInt64 = 30_000

    private var broker: BrokerState?
    private var isMember = false
    private var stuck: String?
    private var told: BrokerState?

    /// Each answers what is to be told, if that changes.
    mutating func broker(_ state: BrokerState) -> BrokerState? {
        broker = state
        return change()
    }

    /// The group gave this member partitions, or none; or there is no topic to read.
    mutating func joined() -> BrokerState? {
        isMember = true
        return change()
    }

    /// Since when the batch in hand is being written, and why it does not pass; `nil` without one, or once it has passed.
    mutating func writing(since: UInt64?, now: UInt64, reason: String?) -> BrokerState? {
        if let since, now >= since, now - since >= Self.patience {
            stuck = stuck ?? "a batch has not passed for \(Self.patience / 1_000) s: \(reason ?? "Kafka does not answer")"
        } else {
            stuck = nil
        }
        return change()
    }

    var isJoining: Bool { !isMember }

    private var state: BrokerState? {
        guard case .up = broker else { return broker }
        if let stuck { return .down(stuck) }
        return isMember ? .up : nil
    }

    private mutating func change() -> BrokerState? {
        guard let state, told == nil || (state == .up) != (told == .up) else { return nil }
        told = state
        return state
    }
}
