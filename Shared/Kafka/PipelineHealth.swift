/// Whether a pipeline is up. It is up if the broker answers, if the group has given this member its partitions (perhaps none), and
/// if its batch passes. Pure.
struct PipelineHealth {
    /// A pipeline is down if its batch has not passed for this long, in ms.
    static let patience: UInt64 = 30_000

    private var broker: BrokerState?
    private var isMember = false
    private var stuck: String?
    private var told: BrokerState?

    // Each event answers the new state, if it changes.
    mutating func broker(_ state: BrokerState) -> BrokerState? {
        broker = state
        return change()
    }

    /// The group gave this member its partitions, perhaps none, or there is no topic to read.
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
