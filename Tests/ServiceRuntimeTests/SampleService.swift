import EventLoop
import HTTP
import ServiceRuntime
import Settings
import Tokens

struct SampleSettings: SettingsGroup {
    static let ticks = Setting("SAMPLE_TICKS", .integer(1...100), default: "2", help: "Ticks that a drain waits for")
    static let declarations = [ticks.description] + APIKeySettings.declarations + TokenSettings.declarations
    let ticks: Int
    let apiKey: APIKeySettings
    let tokens: TokenSettings

    init(_ environment: Environment) throws(SettingsError) {
        ticks = try environment.value(Self.ticks)
        apiKey = try APIKeySettings(environment)
        tokens = try TokenSettings(environment)
    }
}

/// A service as they all are: a driver that is not Sendable, made on the loop and wired in `start`.
actor SampleService: Service {
    static let name = "sample"
    static let summary = "Counts ticks."

    nonisolated let loop: EventLoop
    private let context: ServiceContext<SampleSettings>
    private let log: Log
    private let ticks: Counter
    private let server: HTTPServer
    private let router: RESTRouter
    private let redis: DependencySource
    private var kafka: DependencySource?
    private var timer: LoopTimer?
    private var waiting: CheckedContinuation<Void, Never>?
    private var endOfDrain: AsyncStream<Never>.Continuation?

    init(context: ServiceContext<SampleSettings>) throws {
        loop = context.loop
        self.context = context
        log = context.log
        ticks = context.metrics.counter("carillon_sample_ticks_total", "Ticks.")
        server = try context.serve()
        redis = context.dependencies.source(.redis)
        router = RESTRouter(
            context, apiKey: context.settings.apiKey, tokens: try Credentials(context, context.settings.tokens))
    }

    func start() async throws {
        if context.settings.ticks == 99 { throw StartError("99 ticks are too many") }
        router.on("GET", "/v1/ticks", .open) { call in call.respond(.json("{\"ticks\":\(self.ticks.value)}")) }
        router.on("PUT", "/v1/names/{name}", .apiKey) { call in
            if call.parameters[0] == "nobody" { return call.refuse("There is no such name.") }
            self.loop.timer(after: .milliseconds(1)) { call.respond(.json("{}", status: 202)) }
        }
        router.on("GET", "/v1/me", .person) { call in call.respond(.json("\"\(call.person)\"")) }
        server.onRequest = { self.router.handle($0, $1) }
        timer = loop.timer(after: .milliseconds(1), every: .milliseconds(1)) { self.tick() }
    }

    private func tick() {
        ticks.increment()
        guard ticks.value >= UInt64(context.settings.ticks), let waiting else { return }
        self.waiting = nil
        waiting.resume()
    }

    func drain() async {
        guard context.settings.ticks < 50 else {
            let (never, end) = AsyncStream.makeStream(of: Never.self)
            endOfDrain = end
            for await _ in never {}
            return
        }
        await withCheckedContinuation { waiting = $0 }
        timer?.cancel()
        await server.finish()
        log.info("ticked", ["ticks": .count(ticks.value)])
    }

    var count: UInt64 { ticks.value }

    /// As a service that reads Kafka.
    func readKafka() { kafka = context.dependencies.source(.kafka) }
    func joinGroup() { kafka?.up() }
    func loseKafka() { kafka?.down(.text("closed")) }
    func loseRedis() { redis.down(.text("closed")) }
    func findRedis() { redis.up() }
    /// Ends the drain that 50 ticks and more wait for; false if none is under way.
    func endDrain() -> Bool {
        endOfDrain?.finish()
        return endOfDrain != nil
    }
}
