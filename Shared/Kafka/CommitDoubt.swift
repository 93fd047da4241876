/// Whether a broker may have forgotten a commit that it has answered. It may if it was missed soon after the answer (decision
/// 0014).
struct CommitDoubt {
    /// A commit is safe if it is older than this, in ms, when the broker is missed.
    private static let doubtful: UInt64 = 10_000

    private var committedAt: UInt64?
    private var isInDoubt = false

    mutating func committed(now: UInt64) { committedAt = now }

    mutating func brokerIsMissed(now: UInt64) { isInDoubt = committedAt.map { now - $0 < Self.doubtful } ?? false }

    /// Whether there is a doubt. Answers true once.
    mutating func brokerIsBack() -> Bool {
        defer { isInDoubt = false }
        return isInDoubt
    }
}
