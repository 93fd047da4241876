import EventLoop
import Foundation
import Models
import ServiceRuntime
import ServiceStore
import Settings
import Store
import Synchronization
import TestSupport
import Testing

private struct KeeperSettings: SettingsGroup {
    static let declarations = RedisSettings.declarations
    let redis: RedisSettings

    init(_ environment: Environment) throws(SettingsError) { redis = try RedisSettings(environment) }
}

/// A service that has a store and nothing else.
private actor Keeper: Service {
    static let name = "keeper"
    static let summary = "Keeps a store."

    nonisolated let loop: EventLoop
    private let context: ServiceContext<KeeperSettings>
    private let store: StoreConnection
    private(set) var changes: [Bool] = []

    init(context: ServiceContext<KeeperSettings>) throws {
        loop = context.loop
        self.context = context
        store = try StoreConnection(loop: loop, settings: context.settings.redis, namespace: "")
    }

    func start() async throws {
        context.bringUp(store, onUp: { self.changes.append(true) }, onAway: { self.changes.append(false) })
    }

    func drain() async { store.close() }

    func connections(of person: String) async -> Result<[Int], StoreError> {
        await withCheckedContinuation { done in
            store.routes.connections(of: [PersonID(person)!]) { done.resume(returning: $0) }
        }
    }
}

/// What a service does with its store, whichever service it is: it waits, is not ready, and says why.
@Suite(.blocking) struct StoreBringUpTests {
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func take(_ line: [UInt8]) -> Bool {
            lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
            return true
        }
        func count(_ words: String...) -> Int { lines.withLock { $0.count { line in words.allSatisfy { line.contains($0) } } } }
    }

    private func host(_ redis: RedisServer, _ lines: Lines) throws -> ServiceHost<Keeper> {
        let loop = EventLoop(name: "keeper")
        loop.start()
        let environment = [
            "REDIS_URL": redis.url, "LISTEN_ADDRESS": "127.0.0.1", "PORT": "0", "OPERATIONS_PORT": "0", "INSTANCE_ID": "keeper-1",
        ]
        return try ServiceHost(Keeper.self, loop: loop, environment: Environment(environment), log: { lines.take($0) })
    }

    private func until(_ question: () async throws -> Bool) async throws -> Bool {
        let deadline = Date() + 40
        while Date() < deadline {
            if try await question() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    private func readiness(_ host: ServiceHost<Keeper>) async -> String {
        guard let socket = RawSocket(port: await host.operationsPort ?? 0) else { return "" }
        socket.send("GET /health/ready HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        return socket.takeAll()
    }

    @Test func anUnfitStoreIsWaitedForAndOneLineSaysWhatToMend() async throws {
        let redis = try RedisServer()
        try redis.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        let lines = Lines()
        let host = try host(redis, lines)
        let keeper = try await host.start()
        #expect(try await until { await readiness(host).contains("noeviction") })
        #expect(await keeper.changes == [false])
        guard case .failure(let error) = await keeper.connections(of: "bob") else { return #expect(Bool(false), "answered") }
        #expect(error == .outage("not connected"))
        try redis.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
        #expect(try await until { await keeper.changes == [false, true] })
        #expect(await !readiness(host).contains("noeviction"))
        #expect(lines.count(" error ") == 1)
        #expect(lines.count(" error ", "dependency=redis", "set maxmemory-policy noeviction") == 1)
        #expect(lines.count("dependency is up again") == 1)
        await host.drain()
        host.loop.stop()
    }

    @Test func aStoreThatTakesNoWritesIsAwayUntilItDoes() async throws {
        let redis = try RedisServer()
        let lines = Lines()
        let host = try host(redis, lines)
        let keeper = try await host.start()
        #expect(try await until { await keeper.changes == [true] })
        try redis.cli("CONFIG", "SET", "min-replicas-to-write", "1")
        #expect(try await until { await keeper.changes == [true, false] })
        #expect(lines.count("dependency is down", "fewer replicas") == 1)
        // Reads go on.
        #expect(await keeper.connections(of: "bob") == .success([0]))
        try redis.cli("CONFIG", "SET", "min-replicas-to-write", "0")
        #expect(try await until { await keeper.changes == [true, false, true] })
        await host.drain()
        host.loop.stop()
    }
}
