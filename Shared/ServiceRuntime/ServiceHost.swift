public import EventLoop
public import Settings

/// Brings one service up on a loop and down again: its context, its operations port, its start and its drain.
/// `ServiceRuntime.run` wraps it in a process; tests use it as it is.
public actor ServiceHost<Hosted: Service>: LoopActor {
    public nonisolated let loop: EventLoop
    public nonisolated let context: ServiceContext<Hosted.Settings>
    private let drainTimeout: Duration
    private var service: Hosted?
    private var upkeep: Upkeep?
    private var operations: Operations<Hosted.Settings>?

    /// Reads the settings; nothing is opened yet.
    /// - Parameter log: where lines go, if not to standard error.
    public init(
        _ type: Hosted.Type = Hosted.self, loop: EventLoop, environment: Environment,
        log: (@Sendable ([UInt8]) -> Bool)? = nil
    ) throws(SettingsError) {
        self.loop = loop
        let runtime = try RuntimeSettings(environment)
        let settings = try Hosted.Settings(environment)
        drainTimeout = runtime.drainTimeout
        context = ServiceContext(
            loop: loop, name: Hosted.name, runtime: runtime, settings: settings, environment: environment,
            sink: log ?? writeToStandardError)
    }

    /// Starts the service; answers it, ready for work.
    @discardableResult
    public func start() async throws -> Hosted {
        let began = loop.now
        let upkeep = Upkeep(loop: loop, log: context.log, metrics: context.metrics)
        self.upkeep = upkeep
        let operations = try Operations(context: context, name: Hosted.name)
        self.operations = operations
        let service = try Hosted(context: context)
        self.service = service
        try await service.start()
        context.isStarted = true
        let took = LogValue.milliseconds(loop.now - began)
        let operationsPort = LogValue.count(operations.port)
        if let port = context.port {
            context.log.info("ready", ["port": .count(port), "operations_port": operationsPort, "after": took])
        } else {
            context.log.info("ready", ["operations_port": operationsPort, "after": took])
        }
        return service
    }

    /// Where `/health` and `/metrics` are, once started; also where `OPERATIONS_PORT` is 0.
    public var operationsPort: Int? { operations?.port }

    /// Where the service listens, once started; also where `PORT` is 0.
    public var port: Int? { context.port }

    public var isDraining: Bool { context.isDraining }

    /// Drains the service; false when the drain timeout passed before it was done.
    @discardableResult
    public func drain() async -> Bool {
        guard !context.isDraining else { return true }
        context.isDraining = true
        let began = loop.now
        context.log.info("draining", ["timeout": .duration(drainTimeout)])
        let service = service
        let inTime = await withCheckedContinuation { (done: CheckedContinuation<Bool, Never>) in
            let once = Once(done)
            loop.timer(after: drainTimeout) { once.resume(false) }
            Task {
                await service?.drain()
                once.resume(true)
            }
        }
        if inTime {
            context.log.info("drained", ["after": .milliseconds(loop.now - began)])
        } else {
            context.log.error("drain timed out", ["after": .milliseconds(loop.now - began)])
        }
        operations?.close()
        upkeep?.stop()
        context.log.sumUp(all: true)
        return inTime
    }
}

/// Resumes at the first of two events. Loop thread only.
private final class Once {
    private var done: CheckedContinuation<Bool, Never>?

    init(_ done: CheckedContinuation<Bool, Never>) { self.done = done }

    func resume(_ value: Bool) {
        done?.resume(returning: value)
        done = nil
    }
}
