import EventLoop
import Foundation
import HTTP
import Models
import Redis
import ServiceRuntime
import Settings
import Store
import Synchronization
import TestSupport
import Testing

@testable import PresenceService

@Suite struct PresenceQueryTests {
    private func query(_ text: String) -> Result<[String], PresenceQuery.Refusal> {
        do {
            return .success(try PresenceQuery(HTTPRequest(path: "/v1/presence", query: text), maximum: 3).people.map(\.text))
        } catch {
            return .failure(error)
        }
    }

    @Test func readsUsersInOrder() {
        #expect(query("user=b&user=acme%2Fa&other=x&user=b") == .success(["b", "acme/a", "b"]))
        for text in ["", "user=", "users=a", "user=%00", "user=a%7Bb", "user=a&user=b&user=c&user=d"] {
            guard case .failure = query(text) else { return #expect(Bool(false), "\(text) passed") }
        }
    }

    /// A request line ends at 8 KB, which some 190 UUIDs fill.
    @Test func readsUsersFromABody() {
        func users(_ body: String) -> Result<[String], PresenceQuery.Refusal> {
            let request = HTTPRequest(method: "POST", path: "/v1/presence", query: "user=zed", body: Array(body.utf8))
            do {
                return .success(try PresenceQuery(request, maximum: 3).people.map(\.text))
            } catch {
                return .failure(error)
            }
        }
        #expect(users(#"{"other":null,"users":["b","\u0061","b"],"more":[1]}"#) == .success(["b", "a", "b"]))
        for body in [
            "", "[]", "{}", #"{"users":null}"#, #"{"users":[]}"#, #"{"users":"a"}"#, #"{"users":[null]}"#, #"{"users":["a{b"]}"#,
            #"{"users":["a","b","c","d"]}"#, #"{"users":["a"]}x"#,
        ] {
            guard case .failure = users(body) else { return #expect(Bool(false), "\(body) passed") }
        }
    }

    @Test func answersInOrder() throws {
        let asked = try PresenceQuery(HTTPRequest(path: "/v1/presence", query: "user=b&user=%22q%22"), maximum: 3)
        #expect(
            String(decoding: asked.answer([2, 0]).body, as: UTF8.self)
                == #"{"users":[{"user":"b","online":true,"connections":2},{"user":"\"q\"","online":false,"connections":0}]}"#)
    }
}

/// Gateways as Redis sees them: leases that are renewed, or not, and routes.
private actor Gateways: LoopActor {
    nonisolated let loop: EventLoop
    private var client: RedisClient?
    private var alive: Set<InstanceID> = []
    private(set) var gone: Set<InstanceID> = []
    private var timer: LoopTimer?
    private let keys = Keyspace(namespace: "", shards: 64)
    private let port: Int

    init(_ server: RedisServer) {
        loop = EventLoop(name: "gateways")
        loop.start()
        port = server.port
    }

    func start() async {
        let client = RedisClient(
            loop: loop, endpoint: RedisEndpoint(host: "127.0.0.1", port: port), scripts: StoreScripts.all, checks: [keys.shardsCheck])
        self.client = client
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            client.onState = { _ in
                client.onState = nil
                done.resume()
            }
            client.start()
        }
        timer = loop.timer(after: .milliseconds(100), every: .milliseconds(100)) { self.renew() }
    }

    private func renew() {
        guard let client, client.isUp else { return }
        for instance in alive {
            Store.Gateways(client, keys).renew(instance) { result in
                if case .success(.gone) = result { self.gone.insert(instance) }
            }
        }
    }

    func enrol(_ instance: InstanceID) async throws {
        try await withCheckedThrowingContinuation { done in
            Store.Gateways(client!, keys).enrol(instance) { done.resume(with: $0) }
        }
        alive.insert(instance)
    }

    func register(_ person: PersonID, on instance: InstanceID, _ index: UInt32) async throws {
        let connection = ConnectionID(instance: instance, index: index, generation: 1)
        _ = try await withCheckedThrowingContinuation { done in
            Routes(client!, keys).register(
                connection, of: person, device: "d", transport: .sse, from: .present, limit: 10
            ) { done.resume(with: $0) }
        }
    }

    func watch(_ channel: ChannelID, _ person: PersonID, on instance: InstanceID, _ index: UInt32) async throws {
        let connection = ConnectionID(instance: instance, index: index, generation: 1)
        let watcher = Watcher(connection: connection, person: person, info: Array("{}".utf8))
        _ = try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            ChannelStreams(client!, keys).watch(
                channel, at: instance, [watcher], count: WatcherCount(watchers: 1, listeners: 1), from: .present, limit: 0
            ) { done.resume(with: $0.map { _ in }.mapError { $0 as any Error }) }
        }
    }

    func kill(_ instance: InstanceID) { alive.remove(instance) }
    func revive(_ instance: InstanceID) { alive.insert(instance) }

    func stop() {
        timer?.cancel()
        client?.close()
        loop.stop()
    }
}

private let apiKey = "presence-test-key"

private func host(_ server: RedisServer, _ lines: Lines = Lines()) throws -> ServiceHost<PresenceService> {
    let loop = EventLoop(name: "presence")
    let environment = Environment([
        "LISTEN_ADDRESS": "127.0.0.1", "PORT": "0", "OPERATIONS_PORT": "0", "API_KEY": apiKey, "REDIS_URL": server.url,
        "LEASE_LENGTH": "4s", "REDIS_COMMAND_TIMEOUT": "3s", "PRESENCE_MAX_USERS": "10",
    ])
    let host = try ServiceHost(PresenceService.self, loop: loop, environment: environment, log: { lines.take($0) })
    loop.start()
    return host
}

private final class Lines: Sendable {
    let lines = Mutex<[String]>([])
    func take(_ line: [UInt8]) -> Bool {
        lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
        return true
    }
    func count(_ text: String) -> Int { lines.withLock { $0.count { $0.contains(text) } } }
}

/// Status and body of a GET.
private func get(_ port: Int, _ path: String, key: String? = apiKey) -> (status: Int, body: String) {
    guard let socket = RawSocket(port: port) else { return (0, "") }
    socket.send("GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + (key.map { "X-API-Key: \($0)\r\n" } ?? "") + "\r\n")
    while socket.fill() {}
    let text = String(decoding: socket.buffer, as: UTF8.self)
    let status = text.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap { Int($0) } ?? 0
    return (status, text.components(separatedBy: "\r\n\r\n").dropFirst().joined())
}

private func waits(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<4_000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}

@Suite(.blocking, .serialized) struct PresenceServiceTests {
    private let dead = InstanceID(name: "gateway-1", epoch: 1)!
    private let live = InstanceID(name: "gateway-2", epoch: 2)!
    private let bob = PersonID("bob")!
    private let ann = PersonID("acme/ann")!

    @Test func sweepsTheDeadOnceAndNobodyElse() async throws {
        let server = try RedisServer()
        let gateways = Gateways(server)
        await gateways.start()
        try await gateways.enrol(dead)
        try await gateways.enrol(live)
        for index in 0..<1_200 { try await gateways.register(PersonID("p\(index)")!, on: dead, UInt32(index)) }
        try await gateways.register(bob, on: dead, 5_000)
        try await gateways.register(bob, on: live, 1)
        try await gateways.register(ann, on: dead, 5_001)
        let room = ChannelID("room")!
        try await gateways.watch(room, bob, on: dead, 5_000)
        try await gateways.watch(room, ann, on: live, 2)
        let lines = Lines()
        let one = try host(server, lines)
        let other = try host(server, lines)
        try await one.start()
        try await other.start()
        let port = try #require(await one.port)
        #expect(
            await waits {
                get(port, "/v1/presence?user=bob&user=acme%2Fann&user=zed").body
                    == #"{"users":[{"user":"bob","online":true,"connections":2},{"user":"acme/ann","online":true,"connections":1},{"user":"zed","online":false,"connections":0}]}"#
            })
        await gateways.kill(dead)
        #expect(
            await waits {
                get(port, "/v1/presence?user=acme%2Fann&user=bob").body
                    == #"{"users":[{"user":"acme/ann","online":false,"connections":0},{"user":"bob","online":true,"connections":1}]}"#
            })
        #expect(try await waits { try server.cli("HKEYS", "gateways") == live.text })
        #expect(try server.cli("KEYS", "connections:*\(dead.text)") == "")
        #expect(try server.cli("HGETALL", "channel:{room}:watchers") == "\(live.text)\n1")
        #expect(try server.cli("HKEYS", "channel:{room}:people") == ann.text)
        #expect(try server.cli("KEYS", "*{*\(dead.text)}*") == "")
        // The listener at the other gateway was told of it.
        #expect(try server.cli("GET", "gateway:{\(live.text)}:sequence") != "0")
        #expect(try server.cli("KEYS", "gateway:*").contains(dead.text) == false)
        #expect(try server.cli("KEYS", "routes:*").split(separator: "\n").count == 1)
        #expect(await gateways.gone.isEmpty)
        // It was only asleep: it learns that it is dead, and must take a new epoch.
        await gateways.revive(dead)
        #expect(await waits { await gateways.gone == [dead] })
        #expect(lines.count("a gateway is dead") >= 1)
        for host in [one, other] {
            #expect(await host.drain())
            host.loop.stop()
        }
        await gateways.stop()
    }

    /// A Redis without memory answers and renews no lease: whoever looks on counts nothing, also when memory is there again.
    @Test func whoCouldNotRenewForWantOfMemoryIsNotDead() async throws {
        let server = try RedisServer()
        let gateways = Gateways(server)
        await gateways.start()
        try await gateways.enrol(live)
        try await gateways.enrol(dead)
        let lines = Lines()
        let presence = try host(server, lines)
        try await presence.start()
        let count = { Int(try server.cli("HGET", "gateways", live.text)) ?? -1 }
        let before = try count()
        #expect(try await waits { try count() > before })
        try server.cli("CONFIG", "SET", "maxmemory", "1")
        let stands = try count()
        // Longer than a lease, and then memory comes while nobody renews: only from here on it counts.
        try await Task.sleep(for: .seconds(6))
        await gateways.kill(live)
        #expect(try count() == stands)
        try server.cli("CONFIG", "SET", "maxmemory", "0")
        try await Task.sleep(for: .seconds(2))
        #expect(try count() == stands && lines.count("a gateway is dead") == 0)
        await gateways.revive(live)
        await gateways.kill(dead)
        #expect(try await waits { try server.cli("HKEYS", "gateways") == live.text })
        #expect(await gateways.gone.isEmpty)
        #expect(await presence.drain())
        presence.loop.stop()
        await gateways.stop()
    }

    @Test func anOutageIsNobodysDeath() async throws {
        let server = try RedisServer()
        let gateways = Gateways(server)
        await gateways.start()
        try await gateways.enrol(live)
        try await gateways.register(bob, on: live, 1)
        let lines = Lines()
        let presence = try host(server, lines)
        try await presence.start()
        let port = try #require(await presence.port)
        #expect(await waits { get(port, "/v1/presence?user=bob").status == 200 })
        // Both ways of going: it stands still, and it dies and comes back.
        server.suspend()
        #expect(await waits { get(port, "/v1/presence?user=bob").status == 503 })
        try await Task.sleep(for: .seconds(5))
        server.resume()
        #expect(await waits { get(port, "/v1/presence?user=bob").status == 200 })
        server.stop()
        #expect(await waits { get(port, "/v1/presence?user=bob").status == 503 })
        try await Task.sleep(for: .seconds(5))
        try server.start()
        #expect(await waits { get(port, "/v1/presence?user=bob").status == 200 })
        let end = ContinuousClock.now + .seconds(5)
        while ContinuousClock.now < end {
            #expect(get(port, "/v1/presence?user=bob").body.contains("\"connections\":1"))
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(await gateways.gone.isEmpty)
        #expect(lines.count("a gateway is dead") == 0)
        #expect(lines.count("dependency is down") == 2 && lines.count("dependency is up") == 3)
        #expect(await presence.drain())
        presence.loop.stop()
        await gateways.stop()
    }

    @Test func refusesWhatItShould() async throws {
        let server = try RedisServer()
        let presence = try host(server)
        try await presence.start()
        let port = try #require(await presence.port)
        #expect(await waits { get(port, "/v1/presence?user=bob").status == 200 })
        #expect(get(port, "/v1/presence?user=bob", key: "presence-test-kez").status == 401)
        #expect(get(port, "/v1/presence?user=bob", key: nil).status == 401)
        #expect(get(port, "/v1/presence").status == 400)
        #expect(get(port, "/v1/presence?" + String(repeating: "user=a&", count: 11)).status == 400)
        #expect(get(port, "/v1/other").status == 404)
        #expect(get(try #require(await presence.operationsPort), "/metrics").body.contains("carillon_presence_gateways 0"))
        #expect(await presence.drain())
        presence.loop.stop()
    }
}
