import Store

/// What one client has asked for about its flow: a window, a rate, a pause. Pure: events go in, and it answers how much room
/// there is.
///
/// It holds no message. What it keeps back stays in the inbox, as for a full socket. Only a publication of high priority may
/// pass a rate. It is then remembered by its offset until the flow comes to it.
struct FlowControl: Equatable {
    /// How many publications of high priority may be ahead of the flow at a time. Further ones wait like others.
    static let maximumAhead = 64
    /// The time in which `rate` counts, in ms.
    static let period: UInt64 = 1000

    /// How many publications may be sent and not acknowledged; 0: any number.
    private(set) var window = 0
    /// How many publications may be sent in any second; 0: any number.
    private(set) var rate = 0
    var isPaused = false
    /// Offsets that were sent and not acknowledged, rising. Kept only under a window.
    private var unacknowledged: [UInt64] = []
    /// When the latest publications were sent, in ms, rising. Kept only under a rate, and no more than `rate` of them.
    private var sent: [UInt64] = []
    /// Offsets that were sent ahead of the flow.
    private var ahead: [UInt64] = []

    /// Sets the window. What was sent before needs no acknowledgement.
    mutating func limit(window size: Int) {
        window = size
        if size == 0 { unacknowledged = [] }
    }

    mutating func limit(rate perSecond: Int) {
        rate = perSecond
        sent = perSecond == 0 ? [] : sent.suffix(perSecond)
    }

    /// How many publications may be sent now.
    mutating func room(now: UInt64) -> Int {
        if isPaused { return 0 }
        return min(windowRoom, rateRoom(now: now))
    }

    /// A publication ahead of the flow counts until the flow has passed it, because no position names it before that. The flow
    /// has room for at least one publication if none of its own is unacknowledged. Otherwise it would never pass those ahead of
    /// it.
    private var windowRoom: Int {
        window == 0 ? .max : max(unacknowledged.isEmpty ? 1 : 0, window - unacknowledged.count - ahead.count)
    }

    private mutating func rateRoom(now: UInt64) -> Int {
        if rate == 0 { return .max }
        let past = sent.prefix { $0 + Self.period <= now }.count
        if past > 0 { sent.removeFirst(past) }
        return max(0, rate - sent.count)
    }

    /// Whether only the rate keeps it back, so that time alone makes room.
    mutating func waitsForTime(now: UInt64) -> Bool { !isPaused && windowRoom > 0 && rateRoom(now: now) == 0 }

    /// A publication was written.
    mutating func sent(_ offset: UInt64, now: UInt64) {
        if window > 0 { unacknowledged.append(offset) }
        if rate > 0 { sent.append(now) }
    }

    /// The client has everything up to this offset.
    mutating func acknowledged(_ offset: UInt64) {
        let known = unacknowledged.prefix { $0 <= offset }.count
        if known > 0 { unacknowledged.removeFirst(known) }
    }

    // MARK: High priority

    /// Whether a publication of high priority that the rate keeps back may be sent at once. If so, it is remembered.
    mutating func goesAhead(_ offset: UInt64) -> Bool {
        let hasRoom = window == 0 || unacknowledged.count + ahead.count < window
        guard rate > 0, !isPaused, hasRoom, ahead.count < Self.maximumAhead, !ahead.contains(offset) else { return false }
        ahead.append(offset)
        return true
    }

    /// The flow has come to this offset. Answers true if it was sent ahead, and is not to be sent again.
    mutating func wentAhead(_ offset: UInt64) -> Bool {
        guard let index = ahead.firstIndex(of: offset) else { return false }
        ahead.remove(at: index)
        return true
    }

    /// The flow has passed this offset. Entries on the way that were deleted never came.
    mutating func passed(_ offset: UInt64) {
        if !ahead.isEmpty { ahead.removeAll { $0 <= offset } }
    }
}

/// The flow control of a client that has asked for it.
final class Flow {
    var control = FlowControl()
    /// Answers the `resume` that waits for a read under way. It is given nil if the inbox cannot be read.
    var resumes: ((InboxPage?) -> Void)?
    /// A `pause` has come behind the latest `resume`, which may not be answered yet.
    var pausesAgain = false
    /// `Pacing` looks at it.
    var isPaced = false
}
