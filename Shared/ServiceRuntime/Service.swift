public import EventLoop
public import Settings

/// A service as the runtime sees it: an actor on a loop that is started, and drained.
///
/// `init` and `start` run on the loop's thread, so drivers (which are not Sendable) are made in either of them; the
/// closures that wire them to the actor are given in `start`, where they inherit its isolation. From there on the
/// service is plain callbacks.
public protocol Service: LoopActor {
    associatedtype Settings: SettingsGroup

    /// The service's name in log lines, consumer groups and `--help`; kebab-case, as its binary.
    static var name: String { get }
    /// What it is for, in one paragraph, for `--help`.
    static var summary: String { get }

    /// Keeps what it needs of the context. Throws a `SettingsError` or a `StartError` where settings do not go together.
    init(context: ServiceContext<Settings>) throws

    /// Listens, connects, subscribes. It returns once the service takes work; a dependency that is away is no reason to
    /// throw or to wait. What it throws ends the process.
    func start() async throws

    /// Takes nothing new, finishes what it holds, leaves its groups and closes what it opened. Past the drain timeout the
    /// process ends without it.
    func drain() async
}

/// Why a service cannot start, in the operator's words. The text names settings, files and addresses, nothing else.
public struct StartError: LogReason, CustomStringConvertible {
    public let description: String
    public var logText: String { description }

    public init(_ description: String) { self.description = description }
}
