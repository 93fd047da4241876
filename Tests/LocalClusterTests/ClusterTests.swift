import EventLoop
import Foundation
import Kafka
import Settings
import Synchronization
import TestSupport
import Testing

@testable import LocalCluster

/// The whole cluster with services that only answer their ports: a real Redis, a real edge, the stand-in for APNs.
@Suite(.blocking, .serialized) struct ClusterTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func append(_ line: String) { lines.withLock { $0.append(line) } }
        func contains(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }
    }

    /// A service in a few lines of Python; `dying` ends at once.
    private func makeBinaries(in folder: String, dying: ServiceName? = nil) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let script = """
            #!/usr/bin/python3
            import http.server, os, signal, threading
            asked = 0
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    global asked
                    asked += self.path == "/health/ready"
                    self.send_response(503 if self.path == "/health/ready" and asked < 4 else 200)
                    self.end_headers()
                    self.wfile.write(os.environ["INSTANCE_ID"].encode())
                def log_message(self, *arguments): pass
            signal.signal(signal.SIGTERM, lambda *a: os._exit(0))
            servers = [http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ[n])), Handler) for n in ("PORT", "OPERATIONS_PORT")]
            threading.Thread(target=servers[0].serve_forever, daemon=True).start()
            servers[1].serve_forever()
            """
        for service in ServiceName.allCases {
            let path = folder + "/" + service.rawValue
            let text = service == dying ? "#!/bin/sh\necho 'TOKEN_SECRET: too short' >&2\nexit 78\n" : script
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
    }

    private func withCluster(
        _ environment: [String: String], dying: ServiceName? = nil,
        _ body: (Cluster, ClusterSettings, Lines) async throws -> Void
    ) async throws {
        let folder = NSTemporaryDirectory() + "carillon-local-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try makeBinaries(in: folder + "/bin", dying: dying)
        let broker = try EmbeddedBroker()
        defer { withExtendedLifetime(broker) {} }
        for topic in ClusterTopics.all { try broker.createTopic(topic.name, partitions: topic.partitions) }
        var settings = try ClusterSettings(
            Environment(environment.merging(["EDGE_PORT": "0", "KAFKA_BROKERS": broker.brokers]) { $1 }))
        settings.folder = folder + "/data"
        let loop = EventLoop(name: "cluster")
        loop.start()
        defer { loop.stop() }
        let lines = Lines()
        let cluster = Cluster(
            loop: loop, settings: settings, binaries: folder + "/bin", root: Self.root,
            inherited: ProcessInfo.processInfo.environment, say: { lines.append($0) })
        do {
            try await body(cluster, settings, lines)
        } catch {
            await cluster.stop()
            throw error
        }
        await cluster.stop()
    }

    private func eventually(_ seconds: Double = 40, _ condition: () async -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            if await condition() { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return false
    }

    private func isAlive(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }

    @Test func startsRestartsWhoDiesAndLeavesNobodyBehind() async throws {
        try await withCluster(["GATEWAYS": "2"]) { cluster, settings, lines in
            try await cluster.start()
            let first = await cluster.environment
            #expect(first.services.first?.pids.count == 2)
            let file = try String(contentsOfFile: settings.folder + "/cluster.env", encoding: .utf8)
            #expect(file == first.text)
            #expect(first.apnsURL.hasPrefix("https://127.0.0.1:"))

            let victim = try #require(first.services.first?.pids.last)
            kill(victim, SIGKILL)
            #expect(try await eventually { lines.contains("gateway-2 is ready again") })
            #expect(lines.contains("gateway-2 died (signal 9); it is started again in 1 s"))
            let second = await cluster.environment
            #expect(second.services.first?.pids.first == first.services.first?.pids.first)
            #expect(second.services.first?.pids.last != victim)
            let renewed = try String(contentsOfFile: settings.folder + "/cluster.env", encoding: .utf8)
            #expect(renewed == second.text)

            let exit = try await cluster.run(["sh", "-c", "test \"$EDGE_URL\" = \(second.edgeURL) && exit 3"])
            #expect(exit == .status(3))

            let pids = second.services.flatMap(\.pids) + [try #require(second.redisPID)]
            await cluster.stop()
            #expect(pids.allSatisfy { !isAlive($0) })
            #expect(!FileManager.default.fileExists(atPath: settings.folder + "/cluster.env"))
        }
    }

    @Test func itHasStartedWhenEveryServiceIsReadyAndTheEdgeServes() async throws {
        try await withCluster(["GATEWAYS": "2"]) { cluster, _, _ in
            try await cluster.start()
            let environment = await cluster.environment
            for place in environment.services.flatMap(\.operations).map({ $0 + "/health/ready" }) + [environment.edgeURL + "/edge/health"] {
                #expect(try await cluster.run(["curl", "-fsS", "-o", "/dev/null", place]) == .status(0), "\(place)")
            }
        }
    }

    @Test func aFolderIsThatOfOneCluster() async throws {
        try await withCluster([:]) { first, settings, _ in
            try await first.start()
            let file = settings.folder + "/cluster.env"
            let loop = EventLoop(name: "second")
            loop.start()
            defer { loop.stop() }
            let second = Cluster(loop: loop, settings: settings, binaries: "/nowhere", root: Self.root, inherited: [:], say: { _ in })
            do {
                try await second.start()
                Issue.record("it started")
            } catch let error as ClusterError {
                #expect(error.description.contains("LOCAL_DIRECTORY=") && error.description.contains("(process \(getpid()))"))
            }
            await second.stop()
            #expect(try String(contentsOfFile: file, encoding: .utf8) == (await first.environment.text), "the first one's file stands")
        }
    }

    @Test func aServiceThatCannotStartEndsTheStartWithItsOwnWords() async throws {
        try await withCluster([:], dying: .pushService) { cluster, _, _ in
            do {
                try await cluster.start()
                Issue.record("it started")
            } catch let error as ClusterError {
                #expect(error.description.contains("push-service-1: it ended before it was ready (status 78)"))
                #expect(error.description.contains("TOKEN_SECRET: too short"))
            }
        }
    }
}
