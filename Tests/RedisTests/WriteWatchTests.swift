import EventLoop
import Foundation
import TestSupport
import Testing

@testable import Redis

/// A client that is watched, and what it was told.
private actor Watched: LoopActor {
    nonisolated let loop: EventLoop
    private var client: RedisClient?
    private(set) var told: [RedisWrites] = []
    private(set) var states: [RedisState] = []

    init() {
        loop = EventLoop(name: "watched")
        loop.start()
    }

    func start(_ endpoint: RedisEndpoint) {
        var limits = RedisLimits()
        limits.idlePing = .milliseconds(200)
        limits.reconnectLimit = .milliseconds(100)
        // The check writes, as that of the shards does.
        let check = RedisCheck("SET", "check", "1") { if case .failure(let error) = $0 { error.description } else { nil } }
        let client = RedisClient(loop: loop, endpoint: endpoint, limits: limits, checks: [check], writable: "check")
        self.client = client
        client.onState = { state in self.states.append(state) }
        client.onWrites = { writes in self.told.append(writes) }
        client.start()
    }

    var writes: RedisWrites { client?.writes ?? .taken }
    var isUp: Bool { client?.isUp ?? false }

    func send(_ words: [String]) async -> Result<RedisValue, RedisError> {
        await withCheckedContinuation { done in
            client?.send(
                arguments: words.count, { writer in for word in words { writer.argument(word) } }, { done.resume(returning: $0) })
        }
    }

    func until(_ holds: @Sendable (isolated Watched) -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            if holds(self) { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    func stop() {
        client?.close()
        loop.stop()
    }
}

@Suite(.blocking) struct WriteWatchTests {
    static let out = RedisWrites.refused(.server("OOM command not allowed when used memory > 'maxmemory'."))

    /// A full Redis shows without a command of ours, stays connected, and shows again when there is room.
    @Test(arguments: [(["maxmemory", "1"], "0", "OOM"), (["min-replicas-to-write", "1"], "0", "NOREPLICAS")])
    func aRedisThatTakesNoWrites(_ setting: [String], _ mended: String, _ word: String) async throws {
        let server = try RedisServer()
        let watched = Watched()
        await watched.start(RedisEndpoint(host: "127.0.0.1", port: server.port))
        #expect(await watched.until { $0.isUp })
        try server.cli("CONFIG", "SET", setting[0], setting[1])
        #expect(await watched.until { $0.told.count == 1 })
        guard case .refused(let error) = await watched.writes else { throw Wrong() }
        #expect(error.description.hasSuffix("and takes no writes (\(word))"))
        #expect(await watched.isUp)
        #expect(await watched.send(["GET", "check"]) == .success(.bytes(Array("1".utf8))))
        // A further refusal says nothing new.
        guard case .failure = await watched.send(["SET", "x", "y"]) else { throw Wrong() }
        try server.cli("CONFIG", "SET", setting[0], mended)
        #expect(await watched.until { $0.told.count == 2 && $0.told.last == .taken })
        #expect(await watched.states == [.up])
        #expect(try server.cli("EXISTS", "x") == "0")
        await watched.stop()
    }

    /// A connection that cannot be made for that reason says so too.
    @Test func aRedisThatIsFullAtTheHandshake() async throws {
        let server = try RedisServer(options: ["--maxmemory", "1"])
        let watched = Watched()
        await watched.start(RedisEndpoint(host: "127.0.0.1", port: server.port))
        #expect(await watched.until { !$0.states.isEmpty })
        #expect(await watched.states.first == .down(reason: "Redis has reached maxmemory and takes no writes (OOM)"))
        #expect(await watched.writes != .taken)
        try server.cli("CONFIG", "SET", "maxmemory", "0")
        #expect(await watched.until { $0.isUp && $0.writes == .taken })
        await watched.stop()
    }

    /// Who may not use the command that changes nothing is pinged as before, and nothing is believed of writes.
    @Test func aUserWhoMayNotAsk() async throws {
        let server = try RedisServer()
        try server.cli("ACL", "SETUSER", "app", "on", ">word", "~*", "&*", "+@all", "-setrange")
        let watched = Watched()
        await watched.start(RedisEndpoint(host: "127.0.0.1", port: server.port, user: "app", password: "word"))
        #expect(await watched.until { $0.isUp })
        let pings = { try server.cli("INFO", "commandstats").contains("cmdstat_ping:calls=3") }
        while try !pings() { try await Task.sleep(for: .milliseconds(20)) }
        #expect(await watched.told.isEmpty)
        await watched.stop()
    }

    private struct Wrong: Error {}
}
