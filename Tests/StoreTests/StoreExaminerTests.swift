import EventLoop
import Foundation
import Settings
import Store
import TestSupport
import Testing

/// What a look in depth says of a real Redis.
@Suite(.blocking) struct StoreExaminerTests {
    private func examine(_ url: String, namespace: String = "", shards: Int = 64) async throws -> StoreExamination {
        let loop = EventLoop(name: "examiner")
        loop.start()
        defer { loop.stop() }
        let settings = try RedisSettings(
            Environment(["REDIS_URL": url, "SHARDS": "\(shards)", "REDIS_COMMAND_TIMEOUT": "5s"]))
        let examiner = try StoreExaminer(loop: loop, settings: settings, namespace: namespace)
        return await examiner.examine()
    }

    private func fitness(_ url: String, shards: Int = 64) async throws -> StoreExamination.Fitness {
        let examination = try await examine(url, shards: shards)
        guard case .answers(let fitness) = examination.outcome else { throw Unfit(outcome: examination.outcome) }
        return fitness
    }

    private struct Unfit: Error { let outcome: StoreExamination.Outcome }

    @Test func aFitStoreIsFitAndIsLeftAsItWas() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        #expect(
            try await examine(server.url)
                == StoreExamination(
                    place: "127.0.0.1:\(server.port)",
                    outcome: .answers(.init(durability: .everyWrite, shards: .none(expected: 64), writes: .taken))))
        #expect(try server.cli("DBSIZE") == "0")
        try server.cli("SET", "shards", "64")
        #expect(try await fitness(server.url).shards == .same(64))
    }

    @Test func dataOfOtherShardsAreTold() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        try server.cli("SET", "shards", "32")
        #expect(try await fitness(server.url).shards == .other(32, expected: 64))
        #expect(try await fitness(server.url, shards: 32).shards == .same(32))
        try server.cli("SET", "shards", "many")
        #expect(try await fitness(server.url).shards == .other(nil, expected: 64))
        try server.cli("DEL", "shards")
        try server.cli("HSET", "shards", "a", "b")
        let fitness = try await fitness(server.url)
        #expect(fitness.shards == .unreadable)
    }

    @Test(arguments: [("appendfsync", "everysec"), ("appendonly", "no")])
    func whatACrashWouldLoseIsTold(_ setting: String, _ value: String) async throws {
        let server = try RedisServer()
        defer { server.stop() }
        try server.cli("CONFIG", "SET", setting, value)
        #expect(
            try await fitness(server.url).durability
                == (setting == "appendonly" ? .less(appendOnly: "no", sync: "always") : .less(appendOnly: "yes", sync: "everysec")))
    }

    @Test(arguments: [("maxmemory", "1", StoreExamination.Refusal.memory), ("min-replicas-to-write", "2", .replicas)])
    func refusedWritesAreToldWithTheirCause(_ setting: String, _ value: String, _ refusal: StoreExamination.Refusal) async throws {
        let server = try RedisServer()
        defer { server.stop() }
        try server.cli("CONFIG", "SET", setting, value)
        guard case .refused(_, let cause) = try await fitness(server.url).writes else {
            Issue.record("writes are taken")
            return
        }
        #expect(cause == refusal)
    }

    @Test func aUserWhoMayTooLittleIsTold() async throws {
        let server = try RedisServer()
        defer { server.stop() }
        try server.cli("ACL", "SETUSER", "reader", "on", ">geheim", "~*", "+@all", "-@admin", "-@dangerous", "+info", "-setrange", "-get")
        let fitness = try await fitness("redis://reader:geheim@127.0.0.1:\(server.port)")
        #expect(fitness.durability == .unknown && fitness.shards == .unreadable)
        if case .refused(_, .permission) = fitness.writes {} else { Issue.record("\(fitness.writes)") }
        try server.cli("ACL", "SETUSER", "nobody", "on", ">geheim", "~*", "+@all", "-info")
        let outcome = try await examine("redis://nobody:geheim@127.0.0.1:\(server.port)").outcome
        if case .unfit(_, .permission) = outcome {} else { Issue.record("\(outcome)") }
    }

    @Test func mistakesThatKeepAConnectionFromBeingMadeAreTold() async throws {
        let server = try RedisServer(options: ["--requirepass", "geheim"])
        defer { server.stop() }
        func mistake(_ url: String) async throws -> StoreExamination.Mistake? {
            switch try await examine(url).outcome {
            case .unfit(_, let mistake), .away(_, let mistake): return mistake
            case .answers: return nil
            }
        }
        #expect(try await mistake(server.url) == .needsPassword)
        #expect(try await mistake("redis://default:falsch@127.0.0.1:\(server.port)") == .credentials)
        #expect(try await mistake("rediss://default:geheim@127.0.0.1:\(server.port)") == .needsNoTLS)
        #expect(try await mistake("redis://default:geheim@127.0.0.1:\(server.port)") == nil)
        let evicting = try RedisServer(options: ["--maxmemory-policy", "allkeys-lru"])
        defer { evicting.stop() }
        #expect(try await mistake(evicting.url) == .evicts)
        #expect(try await mistake("redis://:geheim@127.0.0.1:\(evicting.port)") == .password)
        guard case .away(_, nil) = try await examine("redis://127.0.0.1:1").outcome else {
            Issue.record("somebody answers at port 1")
            return
        }
    }
}
