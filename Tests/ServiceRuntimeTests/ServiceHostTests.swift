import EventLoop
import ServiceRuntime
import Settings
import Synchronization
import Testing

struct SampleSettings: SettingsGroup {
    static let ticks = Setting("SAMPLE_TICKS", .integer(1...100), default: "2", help: "Ticks that a drain waits for")
    static let declarations = [ticks.description]
    let ticks: Int

    init(_ environment: Environment) throws(SettingsError) { ticks = try environment.value(Self.ticks) }
}

/// A service as they all are: a driver that is not Sendable, made on the loop and wired in `start`.
actor SampleService: Service {
    static let name = "sample"
    static let summary = "Counts ticks."

    nonisolated let loop: EventLoop
    private let context: ServiceContext<SampleSettings>
    private let log: Log
    private let ticks: Counter
    private var timer: LoopTimer?
    private var waiting: CheckedContinuation<Void, Never>?

    init(context: ServiceContext<SampleSettings>) throws {
        loop = context.loop
        self.context = context
        log = context.log
        ticks = context.metrics.counter("carillon_sample_ticks_total", "Ticks.")
    }

    func start() async throws {
        if context.settings.ticks == 99 { throw StartError("99 ticks are too many") }
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
            for await _ in never {}
            end.finish()
            return
        }
        await withCheckedContinuation { waiting = $0 }
        timer?.cancel()
        log.info("ticked", ["ticks": .count(ticks.value)])
    }

    var count: UInt64 { ticks.value }
}

/// Lines of a log that lives on another thread.
final class SharedLines: Sendable {
    let lines = Mutex<[String]>([])

    func take(_ line: [UInt8]) -> Bool {
        lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
        return true
    }

    var messages: [String] {
        lines.withLock { $0.map { String($0.split(separator: "message=")[1].split(separator: " ")[0]) } }
    }
}

@Suite struct ServiceHostTests {
    @Test func startsAndDrains() async throws {
        let loop = EventLoop(name: "sample")
        loop.start()
        defer { loop.stop() }
        let lines = SharedLines()
        let host = try ServiceHost(SampleService.self, loop: loop, environment: Environment([:]), log: { lines.take($0) })
        let service = try await host.start()
        #expect(await host.drain())
        #expect(await service.count >= 2)
        #expect(lines.messages == ["ready", "draining", "ticked", "drained"])
    }

    @Test func drainEndsAtItsDeadline() async throws {
        let loop = EventLoop(name: "sample")
        loop.start()
        defer { loop.stop() }
        let lines = SharedLines()
        let environment = Environment(["SAMPLE_TICKS": "60", "DRAIN_TIMEOUT": "100ms"])
        let host = try ServiceHost(SampleService.self, loop: loop, environment: environment, log: { lines.take($0) })
        try await host.start()
        #expect(await host.drain() == false)
        #expect(lines.messages.last == "\"drain")
    }

    @Test func aStartThatFailsThrows() async throws {
        let loop = EventLoop(name: "sample")
        loop.start()
        defer { loop.stop() }
        let host = try ServiceHost(SampleService.self, loop: loop, environment: Environment(["SAMPLE_TICKS": "99"]))
        await #expect(throws: StartError.self) { try await host.start() }
    }

    @Test func invalidSettingsNameTheVariable() {
        let error = #expect(throws: SettingsError.self) {
            _ = try ServiceHost(
                SampleService.self, loop: EventLoop(name: "sample"), environment: Environment(["SAMPLE_TICKS": "many"]))
        }
        #expect(error?.description.hasPrefix("SAMPLE_TICKS: \"many\"") == true)
    }
}

