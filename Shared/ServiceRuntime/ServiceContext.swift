public import EventLoop
public import Network
public import Settings

/// What the runtime gives to a service: its loop, its log and metrics, and its settings. One for the process.
///
/// All of it but the constants belongs to the loop's thread. A service with several loops has one for each (`branch`).
public final class ServiceContext<Values: SettingsGroup>: @unchecked Sendable {
    // @unchecked: made on the loop and used on it alone, by the runtime's actor and the service's, which share that loop.

    public let loop: EventLoop
    public let log: Log
    public let metrics: Metrics
    public let dependencies: Dependencies
    /// The service's own settings.
    public let settings: Values
    /// Who and where this process is.
    public let process: ProcessSettings
    /// Whose `X-Forwarded-For` is believed.
    public let trustedProxies: [AddressRange]
    /// Where `settings` were read from, for groups that a driver reads by itself.
    public let environment: Environment
    /// `<INSTANCE_ID>#<epoch>`; the epoch is new at every start.
    public let instance: String

    /// True from SIGTERM on: `/health/ready` says so, and nothing new should be taken.
    public internal(set) var isDraining = false
    /// True once `start` has returned.
    public internal(set) var isStarted = false
    /// What the service listens on, where it does; for the line that says it is ready, and for whoever started it with port 0.
    public private(set) var port: Int?
    /// The service's further loops (ServiceContext+Branches). Home loop only.
    var branches: [Branch] = []
    let name: String
    let sink: LogSink

    /// - Parameter sink: takes each log line; called from the thread of every loop.
    init(
        loop: EventLoop, name: String, runtime: RuntimeSettings, settings: Values, environment: Environment,
        sink: @escaping LogSink = writeToStandardError
    ) {
        self.loop = loop
        self.name = name
        self.sink = sink
        process = runtime.process
        trustedProxies = runtime.trustedProxies
        self.settings = settings
        self.environment = environment
        instance = "\(runtime.process.instanceID)#\(newEpoch())"
        log = Log(
            service: name, instance: runtime.process.instanceID, level: runtime.process.logLevel, format: runtime.process.logFormat,
            write: sink)
        metrics = Metrics()
        dependencies = Dependencies(log: log, metrics: metrics)
    }

    /// The context of a further loop; see `branch`.
    init(home: ServiceContext, loop: EventLoop, number: Int) {
        self.loop = loop
        (name, sink) = (home.name, home.sink)
        (process, settings, environment) = (home.process, home.settings, home.environment)
        trustedProxies = home.trustedProxies
        let instanceID = "\(home.process.instanceID).\(number)"
        instance = "\(instanceID)#\(newEpoch())"
        log = Log(
            service: name, instance: instanceID, level: home.process.logLevel, format: home.process.logFormat, write: sink)
        metrics = Metrics()
        let homeLoop = home.loop
        dependencies = Dependencies(log: log, metrics: metrics) { dependency, standing, reason in
            homeLoop.post { home.dependencies.remote(number, dependency, standing, reason: reason) }
        }
    }

    /// To be called once the service's listener is open. On the first loop.
    public func listens(on port: Int) { self.port = port }
}

/// The second half of an instance's name: 64 random bits as 16 hex digits, so that nothing a former life left behind matches.
public func newEpoch() -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
}
