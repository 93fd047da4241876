/// Whether high priority is under way, or was a moment ago. The other lanes then have little under way, because high priority waits
/// in Redis and on the loop behind what they have sent. The lane of high priority sets it, and the others ask. Loop thread only.
final class RightOfWay {
    /// How long it lasts after a batch of high priority, in ms.
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
