import EventLoop
import ServiceRuntime
import Settings
import Synchronization
import Testing

/// Lines of a log that lives on another thread.
final class SharedLines: Sendable {
    let lines = Mutex<[String]>([])

    func take(_ line: [UInt8]) -> Bool {
        lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
        return true
    }

    var all: [String] { lines.withLock { $0 } }

    var messages: [String] {
        lines.withLock { $0.map { String($0.split(separator: "message=")[1].split(separator: " ")[0]) } }
    }
}

/// A sample service on a loop of its own.
func sampleHost(
    _ values: [String: String] = [:], lines: SharedLines = SharedLines()
) throws -> ServiceHost<SampleService> {
    let loop = EventLoop(name: "sample")
    let defaults = [
        "LISTEN_ADDRESS": "127.0.0.1", "PORT": "0", "OPERATIONS_PORT": "0", "API_KEY": "0123456789abcdef",
        "TOKEN_SECRET": "01234567890123456789012345678901", "INSTANCE_ID": "sample-1",
    ]
    let environment = Environment(defaults.merging(values) { $1 })
    let host = try ServiceHost(SampleService.self, loop: loop, environment: environment, log: { lines.take($0) })
    loop.start()
    return host
}

@Suite struct ServiceHostTests {
    @Test func startsAndDrains() async throws {
        let lines = SharedLines()
        let host = try sampleHost(lines: lines)
        let service = try await host.start()
        #expect(await host.drain())
        #expect(await service.count >= 2)
        #expect(lines.messages == ["ready", "draining", "ticked", "drained"])
        host.loop.stop()
    }

    @Test func drainEndsAtItsDeadline() async throws {
        let lines = SharedLines()
        let host = try sampleHost(["SAMPLE_TICKS": "60", "DRAIN_TIMEOUT": "100ms"], lines: lines)
        try await host.start()
        #expect(await host.drain() == false)
        #expect(lines.messages.last == "\"drain")
        host.loop.stop()
    }

    @Test func aStartThatFailsThrows() async throws {
        let host = try sampleHost(["SAMPLE_TICKS": "99"])
        await #expect(throws: StartError.self) { try await host.start() }
        host.loop.stop()
    }

    @Test func invalidSettingsNameTheVariable() {
        let error = #expect(throws: SettingsError.self) { _ = try sampleHost(["SAMPLE_TICKS": "many"]) }
        #expect(error?.description.hasPrefix("SAMPLE_TICKS: \"many\"") == true)
    }
}
