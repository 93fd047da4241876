internal import Models
internal import Store

/// One push on its way to one device, until there is an outcome. Loop thread only.
final class Errand {
    enum Outcome {
        case accepted
        /// The registration goes unless it is newer than this (ms since 1970); `nil`: it stays.
        case deviceGone(since: Int64?)
        case badToken
        /// Again in so long; it need not be waited for.
        /// - Parameters:
        ///   - attempts: failures that count so far.
        ///   - isForDevice: nothing is to be sent to this device before.
        case parked(for: Duration, attempts: Int, isForDevice: Bool)
        /// Nothing is to be sent to this device until it registers again.
        case wrongTopic(DeadLetter, attempts: Int)
        case gaveUp(DeadLetter, attempts: Int)
    }

    let message: PushMessage
    let device: Device
    /// Where an outage of the provider is to be waited for: here, or else among the parked pushes of that provider.
    let waitsHere: Bool
    let completion: (Outcome) -> Void
    var attempt: DeviceAttempt
    var sentAt: UInt64 = 0
    /// As the provider wrote it; `nil` before the first attempt.
    var body: [UInt8]?
    private let work: Work

    /// - Parameters:
    ///   - work: the batch that it belongs to, and is called off with. It does not know its errands: whoever carries one holds it, and
    ///     with it the batch.
    ///   - attempts: failures that count, before it was parked.
    ///   - waitsHere: true for what was read from the provider's own parked pushes, behind which nobody else waits.
    init(
        _ message: PushMessage, to device: Device, of work: Work, attempts: Int = 0, waitsHere: Bool = false,
        _ completion: @escaping (Outcome) -> Void
    ) {
        self.message = message
        self.device = device
        self.waitsHere = waitsHere
        attempt = DeviceAttempt(attempts: attempts)
        self.work = work
        self.completion = completion
    }

    /// Nobody waits for it any more: another member of the group has the record now.
    var isCancelled: Bool { work.isCancelled }
}
