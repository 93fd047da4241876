internal import Settings
public import Tokens

/// Why somebody was not let in.
public enum RefusalCause: String, MetricLabel {
    case missing, malformed, algorithm, signature, claims, expired, revoked, ticket, origin, lifetime
    case unknownKey = "unknown_key"
    case notYetValid = "not_yet_valid"
    case issuer, audience
    case apiKey = "api_key"
    /// Too many wrong keys before it.
    case apiKeyTrials = "api_key_trials"

    public init(_ error: TokenError) {
        guard case .invalid(let fault) = error else {
            self = .expired
            return
        }
        switch fault {
        case .tooLarge, .notThreeParts, .notBase64, .headerNotJSON, .critical, .badKeyID, .claimsNotJSON: self = .malformed
        case .noAlgorithm, .unsigned, .otherAlgorithm, .algorithmMismatch: self = .algorithm
        case .unknownKey, .noKeyID: self = .unknownKey
        case .badSignature: self = .signature
        case .issuedInFuture, .notYetValid: self = .notYetValid
        case .wrongIssuer: self = .issuer
        case .wrongAudience: self = .audience
        case .revoked: self = .revoked
        case .livesTooLong: self = .lifetime
        case .noSubject, .subjectNotText, .badSubject, .noExpiry, .badExpiry, .badIssuedAt, .badNotBefore,
            .expiryInMilliseconds, .issuedInMilliseconds, .notBeforeInMilliseconds, .channelsNotList, .badChannels, .badInfo,
            .deviceNotText, .badDevice, .badID:
            self = .claims
        }
    }
}

/// Counts who was not let in and why, and writes it for the operator; a burst is summed up by the log. Loop thread only.
public final class Refusals {
    private let log: Log
    private let counts: Labeled<RefusalCause, Counter>

    public init(log: Log, metrics: Metrics) {
        self.log = log
        counts = metrics.counter(
            "carillon_refused_credentials_total", "Tokens, tickets, API keys and origins that were refused.", by: "cause")
    }

    /// `error` says more than the cause where there is more to say, as after how long a token came too late.
    public func note(_ cause: RefusalCause, _ error: TokenError? = nil) {
        counts[cause].increment()
        guard let error else { return log.info("a credential was refused", ["cause": .name(cause)]) }
        log.info("a credential was refused", ["cause": .name(cause), "reason": .error(error)])
    }

    public func note(_ error: TokenError) { note(RefusalCause(error), error) }
}
