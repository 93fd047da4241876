internal import EventLoop
public import HTTP
public import Network
public import Settings
internal import Synchronization
internal import Tokens

/// Compares the API keys that callers bring, and slows down a source that tries many. One for a process; may be used on any
/// thread.
///
/// A source that has tried too many wrong keys is refused for a while, even with the right key: somebody who guesses must not
/// learn which key is right. Only from a source that is known the right key still passes (`KeyTrials`).
public final class APIKeyCheck: Sendable {
    /// What is known of the key that a request brings.
    public enum Verdict: Equatable, Sendable {
        case right
        /// Wrong, or none.
        case refused
        /// The source may try again after so many seconds.
        case tooMany(seconds: Int)
    }

    /// A digest, so that the comparison takes the same time whatever the length.
    private let digest: [UInt8]
    private let trusted: [AddressRange]
    private let trials: Mutex<KeyTrials>

    /// - Parameter trusted: the proxies that tell for whom they ask.
    public init(_ settings: APIKeySettings, trusted: [AddressRange]) {
        digest = sha256(Array(settings.key.utf8))
        self.trusted = trusted
        trials = Mutex(KeyTrials(failures: settings.failures))
    }

    public func verdict(_ request: HTTPRequest, _ exchange: HTTPExchange) -> Verdict {
        guard let given = request.header("x-api-key"), !given.isEmpty, let peer = exchange.stream?.peer else { return .refused }
        let source = RequestOrigin.source(peer: peer, forwarded: request.tokens("x-forwarded-for"), trusted: trusted)
        return verdict(given, of: source, now: EventLoop.monotonicNanoseconds() / 1_000_000)
    }

    /// - Parameter now: ms of a clock that never goes back.
    func verdict(_ given: String, of source: NetworkAddress, now: UInt64) -> Verdict {
        trials.withLock { trials in
            let wait = trials.wait(source, now: now)
            if let wait, !trials.isKnown(source, now: now) { return .tooMany(milliseconds: wait) }
            if constantTimeEqual(sha256(Array(given.utf8)), digest) {
                trials.succeeded(source, now: now)
                return .right
            }
            trials.failed(source, now: now)
            return wait.map { .tooMany(milliseconds: $0) } ?? .refused
        }
    }
}

extension APIKeyCheck.Verdict {
    static func tooMany(milliseconds: UInt64) -> Self { .tooMany(seconds: Int(milliseconds / 1000) + 1) }

    /// The answer to a caller that is refused, and the cause under which it is counted; nil for the right key.
    public var refusal: (response: HTTPResponse, cause: RefusalCause)? {
        switch self {
        case .right: nil
        case .refused:
            (
                .problem(
                    status: 401, name: "api_key_invalid", detail: "X-API-Key is missing or is not the configured key."),
                .apiKey
            )
        case .tooMany(let seconds):
            (
                .problem(
                    status: 429, name: "too_many_wrong_keys",
                    detail: "From this address came too many wrong keys; none is looked at before Retry-After.",
                    headers: [(name: "Retry-After", value: String(seconds))]), .apiKeyTrials
            )
        }
    }
}
