/// What has to wait after a failure, and for how long. One hold is for all that is asked of one server, whatever the question.
///
/// The owner tells each failure and each success, and takes a timer for the pause that `failed` answers.
public struct Hold: Sendable {
    public enum State: Sendable {
        /// Nothing waits.
        case open
        /// Calls that failed by their own fault wait; others begin.
        case resting
        /// The server is away: everything waits.
        case outage
    }

    /// The pauses of everything that asks a store again.
    public static let pause = RetryPause(first: .milliseconds(50), longest: .seconds(1))

    public private(set) var state = State.open
    /// Pauses that followed one another without a success.
    private var failures = 0

    public init() {}

    /// Something failed.
    /// - Returns: how long to wait until `resume`; nil while a pause is under way already.
    public mutating func failed(isOutage: Bool) -> Duration? {
        let isPausing = state != .open
        if isOutage || !isPausing { state = isOutage ? .outage : .resting }
        guard !isPausing else { return nil }
        failures += 1
        return Self.pause.after(failures)
    }

    /// The server has answered as it should: the next pause is the first again.
    public mutating func succeeded() { failures = 0 }

    /// The pause is over, or the server is known to be back.
    public mutating func resume() { state = .open }
}
