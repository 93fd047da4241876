import Foundation
import TestSupport
import Testing

/// One of this build's binaries, started with these variables and no others.
private final class Binary {
    let child: Child
    private let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)

    var out: String { text("out") }
    var errors: String { text("errors") }

    init(_ name: String, _ arguments: [String] = [], environment: [String: String] = [:]) throws {
        let products = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        child = try Child(
            products.appending(path: name).path, arguments, environment: environment,
            output: folder.appending(path: "out").path, errors: folder.appending(path: "errors").path)
    }

    deinit {
        child.end()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Polls until it holds; false after a minute.
    func waits(for condition: (Binary) -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            if condition(self) { return true }
            try await Task.sleep(for: .milliseconds(5))
        }
        return condition(self)
    }

    /// Waits for its end and answers its status; nil if it does not end.
    func end() async throws -> Int32? {
        try await waits { !$0.child.isRunning } ? child.exitStatus : nil
    }

    /// The port of the line that says it is ready.
    func port() async throws -> Int {
        guard try await waits(for: { $0.errors.contains("message=ready") }) else { return 0 }
        return errors.split(separator: " port=").last.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
    }

    private func text(_ name: String) -> String {
        (try? String(contentsOf: folder.appending(path: name), encoding: .utf8)) ?? ""
    }
}

/// The binaries as an operator meets them. The presence-service stands for all: they share the runtime.
@Suite(.blocking) struct ProcessTests {
    /// A Redis that does not answer, which hinders no start.
    private static let environment = [
        "LISTEN_ADDRESS": "127.0.0.1", "PORT": "0", "OPERATIONS_PORT": "0", "API_KEY": "0123456789abcdef",
        "REDIS_URL": "redis://127.0.0.1:1", "INSTANCE_ID": "p-1",
    ]

    @Test(arguments: [
        "gateway", "notification-service", "fanout-worker", "presence-service", "push-service", "carillonctl", "carillon-local",
    ])
    func everyBinarySaysWhatItIs(_ name: String) async throws {
        let version = try Binary(name, ["--version"])
        #expect(try await version.end() == 0)
        #expect(version.out.hasPrefix("\(name) ") && version.errors.isEmpty)
        let help = try Binary(name, ["--help"])
        #expect(try await help.end() == 0)
        #expect(help.out.contains("Environment (variable, default, meaning):\n  "))
    }

    @Test func invalidSettingIsOneLine() async throws {
        let binary = try Binary("presence-service", environment: Self.environment.merging(["PORT": "many"]) { $1 })
        #expect(try await binary.end() == 78)
        #expect(binary.errors.hasPrefix("presence-service: PORT: \"many\" is not a valid value, expected a port"))
        #expect(binary.errors.split(separator: "\n").count == 1)
    }

    @Test func wellKnownCredentialsStopTheStart() async throws {
        let binary = try Binary(
            "presence-service", environment: Self.environment.merging(["API_KEY": "carillon-demo-key"]) { $1 })
        #expect(try await binary.end() == 78)
        #expect(binary.errors.contains("API_KEY") && binary.errors.contains("DEMO=true"))
    }

    @Test func takenPortIsOneLineAndSIGTERMDrains() async throws {
        let first = try Binary("presence-service", environment: Self.environment)
        let port = try await first.port()
        let second = try Binary("presence-service", environment: Self.environment.merging(["PORT": "\(port)"]) { $1 })
        #expect(try await second.end() == 1)
        #expect(second.errors.contains("listen on 127.0.0.1:\(port): address already in use"))
        first.child.signal(SIGTERM)
        #expect(try await first.end() == 0)
        #expect(first.errors.contains(" info presence-service#p-1 message=draining "))
        #expect(first.errors.contains(" message=drained "))
    }

    @Test func secondSignalEndsItAtOnce() async throws {
        let redis = try RedisServer()
        let changed = ["REDIS_URL": redis.url, "REDIS_COMMAND_TIMEOUT": "1m", "DRAIN_TIMEOUT": "10m"]
        let binary = try Binary("presence-service", environment: Self.environment.merging(changed) { $1 })
        let port = try await binary.port()
        #expect(try await binary.waits { $0.errors.contains("message=\"dependency is up\"") })
        redis.suspend()
        // A request that waits for Redis keeps the drain waiting, however slow this machine is.
        let socket = try #require(RawSocket(port: port))
        socket.send("GET /v1/presence?user=a HTTP/1.1\r\nHost: x\r\nX-API-Key: 0123456789abcdef\r\n\r\n")
        // Answered, so the server has read the other one as well.
        #expect(ask(port, "GET", "/nothing").hasPrefix("HTTP/1.1 404 "))
        binary.child.signal(SIGINT)
        #expect(try await binary.waits { $0.errors.contains("message=draining") })
        binary.child.signal(SIGINT)
        #expect(try await binary.end() == 1)
        #expect(!binary.errors.contains("message=drained"))
        redis.resume()
    }
}
