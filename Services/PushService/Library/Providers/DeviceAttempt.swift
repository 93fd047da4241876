internal import Lanes
internal import Models

/// Bounds of retrying.
public struct RetryLimits: Sendable {
    /// Failures that count against a record, for one device.
    public var attempts = 8
    /// The first pause; each further one is twice as long.
    public var base: Duration = .milliseconds(500)
    /// The longest pause, a `Retry-After` included.
    public var longest: Duration = .seconds(30)

    public init() {}

    /// The pause after so many failures in a row, with half of it left to chance (`random` from 0 to 1).
    func pause(after failures: Int, random: Double) -> Duration {
        RetryPause(first: base, longest: longest).after(failures, random: random)
    }
}

/// One notification for one device: what becomes of it, answer by answer. Pure; time and chance come in.
struct DeviceAttempt {
    enum Step: Equatable {
        case accepted
        /// The device's registration goes unless it is newer than this (ms since 1970); `nil`: it stays.
        case deviceGone(since: Int64?)
        case badToken
        case wrongTopic
        case again(after: Duration)
        /// Later, and meanwhile it is nobody's concern: the reason is its own.
        case park(for: Duration)
        /// With a new provider token, at once.
        case againWithNewToken
        /// The credentials are refused: again when the gate opens.
        case stop
        case giveUp(DeadLetterReason)
    }

    /// Failures that count, those before it was parked among them.
    private(set) var attempts: Int
    /// Requests sent.
    private(set) var tries = 0
    private var failuresInRow = 0
    private var internalErrors = 0
    private var hasRenewed = false
    /// How many good answers the provider had given when this was sent last.
    private var goodAnswersAtSend: UInt64 = 0

    init(attempts: Int = 0) { self.attempts = attempts }

    /// How often it was tried, as a dead letter says it.
    var counted: Int { max(tries, attempts) }

    mutating func sent(goodAnswers: UInt64) {
        tries += 1
        goodAnswersAtSend = goodAnswers
    }

    /// Internal errors while nobody has a good answer may be an outage, or this record's doing with nobody else about: so many of
    /// them count as one failure, and it is parked, or it would hold its lane for as long as nobody else has an answer.
    static let unclearErrors = 4

    /// - Parameter goodAnswers: how many the provider has given by now, to anyone.
    mutating func answered(_ meaning: AnswerMeaning, goodAnswers: UInt64, limits: RetryLimits, random: Double) -> Step {
        switch meaning {
        case .accepted: return .accepted
        case .deviceGone(let since): return .deviceGone(since: since)
        case .badToken: return .badToken
        case .wrongTopic: return .wrongTopic
        case .ownFault(let reason): return .giveUp(reason)
        case .credentialsRefused: return .stop
        case .credentialsExpired:
            guard !hasRenewed else { return .stop }
            hasRenewed = true
            return .againWithNewToken
        case .slowDown(let retryAfter):
            return failed(isOwn: true, retryAfter, limits, random)
        case .providerFailed(let kind, let retryAfter):
            return failed(isOwn: isOwnFailure(kind, goodAnswers), retryAfter, limits, random)
        }
    }

    private mutating func failed(isOwn: Bool, _ retryAfter: Int?, _ limits: RetryLimits, _ random: Double) -> Step {
        failuresInRow += 1
        if isOwn { attempts += 1 }
        guard attempts < limits.attempts else { return .giveUp(.attemptsExhausted) }
        let asked = Duration.seconds(min(retryAfter ?? 0, 86_400))
        let pause = min(max(limits.pause(after: max(failuresInRow, attempts), random: random), asked), limits.longest)
        return isOwn ? .park(for: pause) : .again(after: pause)
    }

    private mutating func isOwnFailure(_ kind: FailureKind, _ goodAnswers: UInt64) -> Bool {
        // A provider that is well for others fails over this one; one that fails for all says nothing about it.
        if goodAnswers > goodAnswersAtSend { return true }
        if kind == .internalError { internalErrors += 1 }
        return internalErrors >= Self.unclearErrors
    }
}
