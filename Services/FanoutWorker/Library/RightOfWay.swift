/// Whether high priority is under way or was just now: the other lanes then have little under way, for it waits in Redis
/// and on the loop behind whatever they have sent. The high lane's batches take it, the others ask. Loop thread only.
final class RightOfWay {
    /// Kept for this long after a batch of high priority, in ms.
    static let patience: UInt64 = 2_000

    private var isUnderWay = false
    private var leftAt: UInt64?

    func take() { isUnderWay = true }

    func leave(at now: UInt64) {
        isUnderWay = false
        leftAt = now
    }

    func isTaken(at now: UInt64) -> Bool { isUnderWay || leftAt.map { now &- $0 < Self.patience } ?? false }
}
