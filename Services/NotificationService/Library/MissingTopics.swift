/// Since when topics are known to be missing. A broker that has just come back, or is about to make a topic, says for a moment
/// that there is none. Only a topic that stays missing does not exist. Pure; the caller brings the clock.
struct MissingTopics {
    /// For how many ms a topic must have been missing.
    static let patience: UInt64 = 4_000
    /// The most topics that are remembered. Beyond it all are forgotten, and the patience of each starts again.
    static let limit = 1_000

    private var since: [String: UInt64] = [:]

    /// An event waited from `began` to `now` (ms) for a topic that is not there. True where it does not exist.
    mutating func missed(_ topic: String, from began: UInt64, until now: UInt64) -> Bool {
        let first = min(since[topic] ?? began, began)
        if since.count >= Self.limit, since[topic] == nil { since = [:] }
        since[topic] = first
        return now &- first >= Self.patience
    }

    /// The topic has taken an event.
    mutating func found(_ topic: String) {
        if !since.isEmpty { since[topic] = nil }
    }
}
