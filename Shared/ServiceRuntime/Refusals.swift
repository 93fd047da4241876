public import Network
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

/// Counts who was not let in and why, and writes it for the operator with the client's address (`LoggedAddress`); a burst is
/// summed up by the log. Loop thread only.
public final class Refusals {
    /// The most addresses that are kept for later refusals. With one more, all of them are forgotten.
    public static let mostKept = 10_000

    private let log: Log
    private let counts: Labeled<RefusalCause, Counter>
    private let showsAddresses: Bool
    private var kept: [UInt32: NetworkAddress] = [:]

    /// - Parameter showsAddresses: whether addresses are written as they are.
    public init(log: Log, metrics: Metrics, showsAddresses: Bool) {
        self.log = log
        self.showsAddresses = showsAddresses
        counts = metrics.counter(
            "carillon_refused_credentials_total", "Tokens, tickets, API keys and origins that were refused.", by: "cause")
    }

    /// - Parameter error: says more than the cause where there is more to say, for instance how long ago a token expired.
    public func note(_ cause: RefusalCause, _ error: TokenError? = nil, from address: LoggedAddress?) {
        counts[cause].increment()
        let address = address.map { LogValue.client($0) } ?? .text("unknown")
        guard let error else {
            return log.info("a credential was refused", ["cause": .name(cause), "address": address])
        }
        log.info("a credential was refused", ["cause": .name(cause), "reason": .error(error), "address": address])
    }

    public func note(_ error: TokenError, from address: LoggedAddress?) { note(RefusalCause(error), error, from: address) }

    public func logged(_ address: NetworkAddress) -> LoggedAddress { LoggedAddress(address, isShown: showsAddresses) }

    // MARK: Connections that outlive their request

    /// Keeps the address of a connection that came through a proxy, if addresses are written as they are: its socket names the proxy.
    public func keep(_ address: @autoclosure () -> NetworkAddress?) {
        guard showsAddresses, let address = address() else { return }
        if kept.count >= Self.mostKept { kept = [:] }
        kept[address.siteKey] = address
    }

    /// - Parameter key: a `siteKey`.
    public func logged(key: UInt32) -> LoggedAddress { kept[key].map(logged) ?? LoggedAddress(key: key) }
}
