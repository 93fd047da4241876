internal import Models

/// What a provider's answer says of the device, of the record and of the provider itself. The values are the same for every provider;
/// which of its own answers is which, each provider decides.
enum AnswerMeaning: Equatable, Sendable {
    /// The provider has the push.
    case accepted
    /// The device is gone since then (ms since 1970): a registration that is newer stays. Without a time nothing is known.
    case deviceGone(since: Int64?)
    /// The provider does not know the token, or knows it elsewhere. It is left out for a while and deleted if it is still bad then.
    case badToken
    /// The device belongs to an app that we do not send for. It stays, and gets nothing until it registers again.
    case wrongTopic
    /// What we prove ourselves with is too old. The next request carries a new one, so this push is repeated once, at once.
    case credentialsExpired
    /// The provider refuses our credentials: nothing is sent any more until that is mended. Says nothing about record or device.
    case credentialsRefused
    /// Too much for this one device: later, counted against the record. Seconds, where the provider said how long.
    case slowDown(retryAfter: Int?)
    /// The provider is not well: later. Whether it counts against the record follows from how the others fare. Seconds, as above.
    case providerFailed(FailureKind, retryAfter: Int?)
    /// The record's own fault: it will never be taken.
    case ownFault(DeadLetterReason)

    /// It concerns this device and no other.
    var isForDevice: Bool { if case .slowDown = self { true } else { false } }

    static func providerFailed(_ kind: FailureKind) -> AnswerMeaning { .providerFailed(kind, retryAfter: nil) }
}

/// How a provider failed.
enum FailureKind: Equatable, Sendable {
    /// No connection can be made.
    case unreachable
    /// The connection broke, or no answer came in time.
    case interrupted
    /// It says itself that it cannot serve at present.
    case unavailable
    /// It failed over this request, as it says.
    case internalError
}

/// How one request ended.
struct ProviderAnswer: Equatable, Sendable {
    var meaning: AnswerMeaning
    /// The provider's own word for it, out of a closed list, for a dead letter's detail; `nil`: no answer came.
    var reason: String?

    init(_ meaning: AnswerMeaning, reason: String? = nil) {
        self.meaning = meaning
        self.reason = reason
    }
}
