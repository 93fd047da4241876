/// Whether a commit that was answered may have been forgotten: the broker was missed soon behind it (decision 0014).
struct CommitDoubt {
    /// A commit that is older than this when the broker is missed, in ms, is sure.
    private static let doubtful: UInt64 = 10_000

    private var committedAt: UInt64?
    private var isInDoubt = false

    mutating func committed(now: UInt64) { committedAt = now }

    mutating func brokerIsMissed(now: UInt64) { isInDoubt = committedAt.map { now - $0 < Self.doubtful } ?? false }

    /// Answers whether there is a doubt, once.
    mutating func brokerIsBack() -> Bool {
        defer { isInDoubt = false }
        return isInDoubt
    }
}
