internal import EventLoop

/// Whether the provider can be sent to: it closes when nothing works, and lets one request through now and then to see
/// whether it does again. Pure; times are milliseconds of one monotonic clock.
struct ProviderGate {
    enum State: Equatable {
        case open
        /// Nobody passes until this time, then one.
        case closed(until: UInt64, FailureKind)
        /// Our credentials are refused.
        case refused(until: UInt64)
        /// One is on its way to see.
        case probing
    }

    /// What the owner has to tell.
    enum Change: Equatable {
        case none, opened, closed(FailureKind), refused
    }

    /// Failures one after another, none of them sent before the former came back, that close the gate.
    static let failuresToClose = 3
    /// Between two probes at most.
    static let longestPause: Duration = .seconds(5)
    /// Between two tries with credentials that were refused, in ms.
    static let refusalPause: UInt64 = 60_000

    let limits: RetryLimits
    private(set) var state = State.open
    /// Answers that show that the provider works, whatever they said.
    private(set) var goodAnswers: UInt64 = 0
    private var failures = 0
    private var lastFailure: UInt64 = 0
    /// What the owner was told last.
    private var told = Told.nothing

    private enum Told { case nothing, open, shut }

    init(limits: RetryLimits) { self.limits = limits }

    /// Whether a request may leave now. One that may, while the gate was shut, is the probe.
    mutating func admits(now: UInt64) -> Bool {
        switch state {
        case .open: return true
        case .probing: return false
        case .closed(let until, _), .refused(let until):
            guard now >= until else { return false }
            state = .probing
            return true
        }
    }

    var isOpen: Bool { state == .open }

    /// When `admits` may say yes again; `nil` if it does now, or waits for an answer.
    var opensAt: UInt64? {
        switch state {
        case .open, .probing: nil
        case .closed(let until, _), .refused(let until): until
        }
    }

    mutating func good() -> Change {
        goodAnswers &+= 1
        failures = 0
        state = .open
        return tell(open: true) ? .opened : .none
    }

    /// An answer that says neither that it works for us nor that it does not. A probe is repeated at once.
    mutating func undecided() -> Change {
        if state == .probing { state = .closed(until: 0, .unavailable) }
        return .none
    }

    mutating func refused(now: UInt64) -> Change {
        state = .refused(until: now + Self.refusalPause)
        return tell(open: false) ? .refused : .none
    }

    /// - Parameter sentAt: requests that were under way together fail together, and count once.
    mutating func failed(_ kind: FailureKind, sentAt: UInt64, now: UInt64, random: Double) -> Change {
        let isProbe = state == .probing
        guard isProbe || failures == 0 || sentAt >= lastFailure else { return .none }
        lastFailure = now
        failures += 1
        guard isProbe || kind == .unreachable || failures >= Self.failuresToClose else { return .none }
        let pause = min(limits.pause(after: failures, random: random), Self.longestPause)
        state = .closed(until: now + pause.wholeMilliseconds, kind)
        return tell(open: false) ? .closed(kind) : .none
    }

    private mutating func tell(open: Bool) -> Bool {
        let news = open ? Told.open : .shut
        defer { told = news }
        return told != news
    }
}
