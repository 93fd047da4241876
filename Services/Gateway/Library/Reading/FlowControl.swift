import Store

/// What one client has asked for about its own flow: a window, a rate, a pause. Pure: events in, room out.
///
/// It holds no message. What it keeps back is left in the inbox, as for a socket that is full; only a publication of high
/// priority may pass a rate, and is then remembered by its offset until the flow comes to it.
struct FlowControl: Equatable {
    /// Publications of high priority that may be ahead of the flow at a time; further ones wait like any.
    static let maximumAhead = 64
    /// The time that `rate` counts in, ms.
    static let period: UInt64 = 1000

    /// Publications that may be under way without an acknowledgement; 0: any number.
    private(set) var window = 0
    /// Publications in any second; 0: any number.
    private(set) var rate = 0
    var isPaused = false
    /// Offsets of what was sent and is not acknowledged, rising; kept only under a window.
    private var unacknowledged: [UInt64] = []
    /// When the latest publications were sent, ms, rising; kept only under a rate, and no more than `rate` of them.
    private var sent: [UInt64] = []
    /// Offsets that were sent ahead of the flow.
    private var ahead: [UInt64] = []

    /// Counts from now on: what was sent before needs no acknowledgement.
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

    /// What went ahead of the flow counts until the flow has passed it, for until then no position names it that could be
    /// acknowledged. So the flow itself always has room for one where nothing of its own is unacknowledged, or it would never pass.
    private var windowRoom: Int {
        window == 0 ? .max : max(unacknowledged.isEmpty ? 1 : 0, window - unacknowledged.count - ahead.count)
    }

    private mutating func rateRoom(now: UInt64) -> Int {
        if rate == 0 { return .max }
        let past = sent.prefix { $0 + Self.period <= now }.count
        if past > 0 { sent.removeFirst(past) }
        return max(0, rate - sent.count)
    }

    /// Whether nothing but the rate keeps it back, so that time alone makes room.
    mutating func waitsForTime(now: UInt64) -> Bool { !isPaused && windowRoom > 0 && rateRoom(now: now) == 0 }

    /// A publication was written.
    mutating func sent(_ offset: UInt64, now: UInt64) {
        if window > 0 { unacknowledged.append(offset) }
        if rate > 0 { sent.append(now) }
    }

    /// The client has everything up to there.
    mutating func acknowledged(_ offset: UInt64) {
        let known = unacknowledged.prefix { $0 <= offset }.count
        if known > 0 { unacknowledged.removeFirst(known) }
    }

    // MARK: High priority

    /// Whether a publication of high priority that the rate keeps back may be sent at once; it is then remembered.
    mutating func goesAhead(_ offset: UInt64) -> Bool {
        let hasRoom = window == 0 || unacknowledged.count + ahead.count < window
        guard rate > 0, !isPaused, hasRoom, ahead.count < Self.maximumAhead, !ahead.contains(offset) else { return false }
        ahead.append(offset)
        return true
    }

    /// The flow has come to this offset. True if it was sent ahead, and is not to be sent again.
    mutating func wentAhead(_ offset: UInt64) -> Bool {
        guard let index = ahead.firstIndex(of: offset) else { return false }
        ahead.remove(at: index)
        return true
    }

    /// The flow has passed this offset; what was deleted on the way never came.
    mutating func passed(_ offset: UInt64) {
        if !ahead.isEmpty { ahead.removeAll { $0 <= offset } }
    }
}

/// A client's flow control, for those that have asked for one.
final class Flow {
    var control = FlowControl()
    /// Answers the `resume` that waits for a read under way; with nil if the inbox cannot be read.
    var resumes: ((InboxPage?) -> Void)?
    /// A `pause` has come since the latest `resume`, which may not have been answered yet.
    var pausesAgain = false
    /// It stands among those that are looked at as time passes.
    var isPaced = false
}
