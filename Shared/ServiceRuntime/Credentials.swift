internal import EventLoop
public import Settings
public import Tokens

/// Whether a credential may still be used.
public enum CredentialStanding: Sendable {
    case good, revoked
    /// Nobody can tell now, because the store that knows is away.
    case unknown
}

/// Checks people's tokens with the keys that the settings name, and follows the key file as it changes. Loop thread only.
///
/// A new file that cannot be used changes nothing: the former keys stay, and a log line and a metric say so. A key in it that
/// cannot be used is passed over with a log line.
public final class Credentials {
    /// How often the key file is looked at: one `stat`.
    public static let lookInterval = Duration.seconds(1)

    private let verifier: TokenVerifier
    private var timer: LoopTimer?

    /// Throws where the key file cannot be used: a service does not start without the keys that it was told to take.
    public convenience init<Values>(_ context: ServiceContext<Values>, _ settings: TokenSettings) throws(StartError) {
        try self.init(loop: context.loop, log: context.log, metrics: context.metrics, settings)
    }

    init(loop: EventLoop, log: Log, metrics: Metrics, _ settings: TokenSettings) throws(StartError) {
        verifier = TokenVerifier(
            secret: settings.secret, issuer: settings.issuer, audience: settings.audience,
            maximumLifetime: settings.maximumLifetime.components.seconds)
        guard let path = settings.keyFile else { return }
        let reloads = metrics.counter(
            "carillon_key_file_reads_total", "Times that the key file was new and read.", by: "result", KeyFileResult.self)
        var file = KeyFile(path: path)
        switch file.changed() {
        case .success(let set)?:
            verifier.use(set)
            reloads[.taken].increment()
            log.notePassedOver(set)
        case .failure(let error)?: throw StartError("JWKS_FILE: \(error)")
        case nil: break
        }
        let verifier = verifier
        timer = loop.timer(after: Self.lookInterval, every: Self.lookInterval) {
            switch file.changed() {
            case .success(let set)?:
                verifier.use(set)
                reloads[.taken].increment()
                log.info("new token keys", ["keys": .count(set.count)])
                log.notePassedOver(set)
            case .failure(let error)?:
                reloads[.refused].increment()
                log.error("the key file is not taken, the former keys stay", ["reason": .error(error)])
            case nil: break
            }
        }
    }

    deinit { timer?.cancel() }

    /// Whether a token lives longer than any token may. Its claims say it, or a ticket that was made of it.
    public func outlives(expires: Int64, issuedAt: Int64?) -> Bool {
        verifier.outlives(expires: expires, issuedAt: issuedAt, now: EventLoop.wallClock() / 1000)
    }

    /// The claims of a token that holds now, or why it does not. Whether it was revoked is another question.
    public func claims(_ token: String) -> Result<TokenClaims, TokenError> {
        verifier.verify(token, now: EventLoop.wallClock() / 1000)
    }
}

extension Log {
    fileprivate func notePassedOver(_ set: KeySet) {
        for fault in set.passedOver { warning("a key of the key file is passed over", ["reason": .error(fault)]) }
    }
}

private enum KeyFileResult: String, MetricLabel {
    case taken, refused
}

/// Both name a place and a rule, and nothing out of the file or the token.
extension KeySetError: LogReason {
    public var logText: String { description }
}
extension TokenError: LogReason {
    public var logText: String { description }
}
