import EventLoop
import Foundation
import Network
import TestSupport
import Testing

@testable import Redis

/// A client on a loop, for tests.
actor Caller: LoopActor {
    nonisolated let loop: EventLoop
    private let endpoint: RedisEndpoint
    private let limits: RedisLimits
    private var client: RedisClient?
    private(set) var states: [RedisState] = []
    static let increment = RedisScript("increment", keys: 1, "return redis.call('INCRBY', KEYS[1], ARGV[1])")

    init(_ endpoint: RedisEndpoint, limits: RedisLimits = RedisLimits()) {
        loop = EventLoop(name: "redis")
        loop.start()
        self.endpoint = endpoint
        self.limits = limits
    }

    init(_ server: RedisServer, limits: RedisLimits = RedisLimits()) {
        self.init(RedisEndpoint(host: "127.0.0.1", port: server.port), limits: limits)
    }

    func start() {
        let client = RedisClient(loop: loop, endpoint: endpoint, limits: limits, scripts: [Self.increment])
        self.client = client
        client.onState = { state in self.states.append(state) }
        client.start()
    }

    var isUp: Bool { client?.isUp ?? false }

    /// Waits until the last state is as wanted, at least a minute.
    func waits(_ wanted: (RedisState) -> Bool) async -> Bool {
        for _ in 0..<12_000 {
            if let last = states.last, wanted(last) { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }
    func comesUp() async -> Bool { await waits { $0 == .up } }
    func goesDown() async -> Bool { await waits { if case .down = $0 { true } else { false } } }
    func isRefused() async -> Bool { await waits { if case .refused = $0 { true } else { false } } }

    func send(_ arguments: String...) async -> Result<RedisValue, RedisError> {
        await withCheckedContinuation { done in
            client?.send(
                arguments: arguments.count, { writer in for argument in arguments { writer.argument(argument) } },
                { done.resume(returning: $0) })
        }
    }

    /// Holds the loop's thread from the next turn on.
    func standStill(seconds: Double) { loop.timer(after: .milliseconds(10)) { holdThread(seconds: seconds) } }

    func runID() async -> String? {
        await withCheckedContinuation { done in client?.runID { done.resume(returning: $0) } }
    }

    func increment(_ key: String) async -> Result<RedisValue, RedisError> {
        await withCheckedContinuation { done in
            client?.eval(
                Self.increment, arguments: 2,
                { writer in
                    writer.argument(key)
                    writer.argument(1)
                }, { done.resume(returning: $0) })
        }
    }

    /// Sends so many INCRs at once; answers what each got, in the order of the answers.
    func burst(_ count: Int, _ command: String...) async -> [Result<RedisValue, RedisError>] {
        await withCheckedContinuation { done in
            var results: [Result<RedisValue, RedisError>] = []
            for _ in 0..<count {
                client?.send(
                    arguments: command.count, { writer in for part in command { writer.argument(part) } },
                    { result in
                        results.append(result)
                        if results.count == count { done.resume(returning: results) }
                    })
            }
        }
    }

    /// Calls that are made from within a reply, after the client was closed.
    func closeInReply() async -> [Result<RedisValue, RedisError>] {
        await withCheckedContinuation { done in
            var results: [Result<RedisValue, RedisError>] = []
            client?.send("PING") { result in
                results.append(result)
                self.client?.close()
                self.client?.send("PING") { result in
                    results.append(result)
                    done.resume(returning: results)
                }
            }
            client?.send("GET", "x") { results.append($0) }
        }
    }

    func stop() {
        client?.close()
        loop.stop()
    }
}

@Suite(.blocking, .serialized) struct RedisClientTests {
    /// A server that is slow because this machine is has not failed: only where a time-out is what is tested, it is short.
    let quick: RedisLimits = {
        var limits = RedisLimits()
        limits.commandTimeout = .seconds(20)
        limits.reconnectLimit = .milliseconds(200)
        return limits
    }()

    private func quick(commandTimeout: Duration) -> RedisLimits {
        var limits = quick
        limits.commandTimeout = commandTimeout
        return limits
    }

    @Test func answersInOrder() async throws {
        let server = try RedisServer()
        let caller = Caller(server)
        await caller.start()
        #expect(await caller.comesUp())
        let results = await caller.burst(9_000, "INCR", "n")
        #expect(results == (1...9_000).map { .success(.integer($0)) })
        #expect(await caller.send("GET", "nothing") == .success(.null))
        #expect(await caller.send("GET") == .failure(.server("ERR wrong number of arguments for 'get' command")))
        await caller.stop()
    }

    @Test func signsInAndSelects() async throws {
        let server = try RedisServer(options: ["--requirepass", "geheim"])
        let good = Caller(RedisEndpoint(host: "localhost", port: server.port, password: "geheim", database: 3))
        await good.start()
        #expect(await good.comesUp())
        #expect(await good.send("SET", "k", "v") == .success(.status("OK")))
        #expect(await good.send("CLIENT", "LIST").map { $0.text?.contains("db=3") } == .success(true))
        let wrong = Caller(RedisEndpoint(host: "127.0.0.1", port: server.port, password: "falsch"))
        await wrong.start()
        #expect(await wrong.isRefused())
        let none = Caller(RedisEndpoint(host: "127.0.0.1", port: server.port))
        await none.start()
        #expect(await none.isRefused())
        #expect(await wrong.states == [.refused(reason: "user or password is wrong (WRONGPASS)")])
        #expect(await none.states == [.refused(reason: "Redis wants a password (NOAUTH)")])
        #expect(await none.send("PING") == .failure(.unavailable))
        await good.stop()
        await wrong.stop()
        await none.stop()
    }

    @Test func speaksTLS() async throws {
        let certificate = try TestCertificate()
        let server = try RedisServer()
        let held = try HeldPort()
        defer { withExtendedLifetime(held) {} }
        let port = held.number
        try server.cli("CONFIG", "SET", "tls-auth-clients", "no")
        try server.cli(
            "CONFIG", "SET", "tls-cert-file", certificate.certificate, "tls-key-file", certificate.key, "tls-ca-cert-file",
            certificate.certificate, "tls-port", "\(port)")
        let trusting = try TLSContext(clientTrusting: certificate.certificate)
        let caller = Caller(RedisEndpoint(host: "localhost", port: port, tls: trusting), limits: quick)
        await caller.start()
        #expect(await caller.comesUp())
        let results = await caller.burst(3_000, "INCR", "n")
        #expect(results == (1...3_000).map { .success(.integer($0)) })
        let large = String(repeating: "x", count: 1_000_000)
        #expect(await caller.send("SET", "large", large) == .success(.status("OK")))
        #expect(await caller.send("GET", "large") == .success(.bytes(Array(large.utf8))))
        let wary = Caller(RedisEndpoint(host: "localhost", port: port, tls: try TLSContext(clientTrusting: nil)), limits: quick)
        await wary.start()
        #expect(await wary.goesDown())
        #expect(await wary.states == [.down(reason: "its certificate is not trusted: self-signed certificate")])
        // A name that the certificate does not bear.
        let misled = Caller(RedisEndpoint(host: "127.1", port: port, tls: trusting), limits: quick)
        await misled.start()
        #expect(await misled.goesDown())
        #expect(await misled.states == [.down(reason: "its certificate is not trusted: hostname mismatch")])
        // Plain text to a port that speaks TLS.
        let plain = Caller(RedisEndpoint(host: "localhost", port: port), limits: quick)
        await plain.start()
        #expect(await plain.goesDown())
        let words = await plain.states.map { "\($0)" }.joined()
        #expect(words.contains("rediss://"), "\(words)")
        // TLS to a port that speaks none.
        let lost = Caller(RedisEndpoint(host: "localhost", port: server.port, tls: trusting), limits: quick)
        await lost.start()
        #expect(await lost.goesDown())
        let why = await lost.states.map { "\($0)" }.joined()
        #expect(why.contains("it does not speak TLS: ") || why.contains("(does this port speak TLS?)"), "\(why)")
        for caller in [caller, wary, misled, plain, lost] { await caller.stop() }
    }

    @Test func refusesARedisThatEvicts() async throws {
        let server = try RedisServer(options: ["--maxmemory-policy", "allkeys-lru"])
        let caller = Caller(server, limits: quick)
        await caller.start()
        #expect(await caller.isRefused())
        #expect(
            await caller.states == [.refused(reason: "Redis evicts (maxmemory-policy allkeys-lru): set maxmemory-policy noeviction")])
        try server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
        #expect(await caller.comesUp())
        await caller.stop()
    }

    @Test func comesBackAfterAKill() async throws {
        let server = try RedisServer()
        let caller = Caller(server, limits: quick)
        #expect(await caller.states.isEmpty)
        await caller.start()
        #expect(await caller.comesUp())
        #expect(await caller.increment("n") == .success(.integer(1)))
        server.stop()
        #expect(await caller.goesDown())
        #expect(await caller.send("PING") == .failure(.unavailable))
        try server.start()
        #expect(await caller.comesUp())
        // Loaded again by the new connection.
        #expect(await caller.increment("n") == .success(.integer(2)))
        #expect(await caller.states.count == 3)
        await caller.stop()
    }

    @Test func leavesAPrimaryThatHasBecomeAReplica() async throws {
        let (server, other) = (try RedisServer(), try RedisServer())
        let caller = Caller(server, limits: quick)
        await caller.start()
        #expect(await caller.comesUp())
        let run = await caller.runID()
        #expect(run?.count == 40)
        try server.cli("REPLICAOF", "127.0.0.1", "\(other.port)")
        guard case .failure(.server(let text)) = await caller.send("INCR", "n") else {
            Issue.record("a replica took a write")
            return
        }
        #expect(text.hasPrefix("READONLY"))
        // A new connection asks again where the primary is; here it is soon back, at the same replica.
        for _ in 0..<12_000 where await caller.states.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(await caller.states.dropFirst().first == .down(reason: "it is a replica"))
        try server.cli("REPLICAOF", "NO", "ONE")
        #expect(await caller.comesUp())
        #expect(await caller.send("INCR", "n") == .success(.integer(1)))
        #expect(await caller.runID() == run)
        await caller.stop()
    }

    @Test func givesUpAServerThatStandsStill() async throws {
        let server = try RedisServer()
        let caller = Caller(server, limits: quick(commandTimeout: .seconds(3)))
        await caller.start()
        #expect(await caller.comesUp())
        server.suspend()
        let start = ContinuousClock.now
        let watch = Standstill()
        let results = await caller.burst(3, "INCR", "n")
        #expect(results == [.failure(.timedOut), .failure(.disconnected), .failure(.disconnected)])
        #expect(ContinuousClock.now - start >= .milliseconds(2_990) && watch.end() < 9)
        #expect(await caller.goesDown())
        // It takes connections (the kernel does) and answers nothing: that is not up.
        #expect(await caller.isUp == false)
        server.resume()
        #expect(await caller.comesUp())
        #expect(await caller.states.count == 3)
        await caller.stop()
    }

    /// With the whole machine, say, for longer than the time-out: that is no outage.
    @Test func doesNotGiveUpAServerBecauseItStoodStillItself() async throws {
        let server = try RedisServer()
        var limits = quick
        limits.commandTimeout = .milliseconds(2_000)
        let caller = Caller(server, limits: limits)
        await caller.start()
        #expect(await caller.comesUp())
        server.suspend()
        await caller.standStill(seconds: 3)
        // Redis, too, needs a moment before it runs again.
        Thread.detachNewThread {
            holdThread(seconds: 3.3)
            server.resume()
        }
        #expect(await caller.send("PING") == .success(.status("PONG")))
        #expect(await caller.states == [.up])
        await caller.stop()
    }

    @Test func noticesAServerThatStandsStillWhileNothingIsAsked() async throws {
        let server = try RedisServer()
        var limits = quick(commandTimeout: .seconds(2))
        limits.idlePing = .milliseconds(100)
        let caller = Caller(server, limits: limits)
        await caller.start()
        #expect(await caller.comesUp())
        server.suspend()
        #expect(await caller.goesDown())
        server.resume()
        #expect(await caller.comesUp())
        await caller.stop()
    }

    @Test func boundsWhatIsInFlight() async throws {
        let server = try RedisServer()
        var limits = quick
        limits.maxInFlight = 10
        let caller = Caller(server, limits: limits)
        await caller.start()
        #expect(await caller.comesUp())
        let results = await caller.burst(12, "INCR", "n")
        // What was not sent fails at the end of the turn, before any answer can come.
        #expect(results.filter { $0 == .failure(.overloaded) }.count == 2)
        #expect(await caller.send("GET", "n") == .success(.bytes(Array("10".utf8))))
        await caller.stop()
    }

    @Test func boundsTheBytesThatRedisHasNotTaken() async throws {
        let server = try RedisServer()
        var limits = quick
        limits.maxQueuedBytes = 100_000
        let caller = Caller(server, limits: limits)
        await caller.start()
        #expect(await caller.comesUp())
        let results = await caller.burst(10, "SET", "n", String(repeating: "x", count: 30_000))
        #expect(results.filter { $0 == .failure(.overloaded) }.count == 6)
        #expect(results.count == 10)
        #expect(await caller.send("STRLEN", "n") == .success(.integer(30_000)))
        await caller.stop()
    }

    @Test func givesUpAServerThatTakesNoConnection() async throws {
        let server = try RedisServer()
        // The kernel takes the connection; nobody greets.
        server.suspend()
        var limits = quick(commandTimeout: .seconds(1))
        limits.connectTimeout = .milliseconds(100)
        let caller = Caller(server, limits: limits)
        await caller.start()
        #expect(await caller.goesDown())
        server.resume()
        #expect(await caller.comesUp())
        await caller.stop()
    }

    @Test func loadsAScriptThatWasFlushed() async throws {
        let server = try RedisServer()
        let caller = Caller(server)
        await caller.start()
        #expect(await caller.comesUp())
        try server.cli("SCRIPT", "FLUSH")
        let first = await caller.increment("n")
        guard case .failure(let error) = first else { return #expect(Bool(false), "\(first)") }
        #expect(error.isOutage && error.wasNotExecuted)
        #expect(await caller.increment("n") == .success(.integer(1)))
        await caller.stop()
    }

    @Test func aFullServerIsAnOutage() async throws {
        let server = try RedisServer()
        let caller = Caller(server)
        await caller.start()
        #expect(await caller.comesUp())
        try server.cli("CONFIG", "SET", "maxmemory", "1")
        guard case .failure(let error) = await caller.increment("n") else { return #expect(Bool(false), "not refused") }
        #expect(error.isOutage)
        await caller.stop()
    }

    @Test func survivesBeingClosedByAReply() async throws {
        let server = try RedisServer()
        let caller = Caller(server)
        await caller.start()
        #expect(await caller.comesUp())
        let results = await caller.closeInReply()
        #expect(results == [.success(.status("PONG")), .failure(.disconnected), .failure(.unavailable)])
        await caller.stop()
    }
}
