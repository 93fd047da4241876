import TestSupport
import Testing

@testable import Carillonctl

@Suite(.blocking) struct InboxAuditTests {
    private func give(_ redis: RedisServer, _ key: String, unread: String) throws {
        try redis.cli("XADD", key, "7-1", "n", "{}", "id", "a", "t", "1", "a", "1")
        try redis.cli("XADD", key, "7-2", "n", "{}", "id", "b", "t", "1", "a", "1")
        try redis.cli("HSET", key + ":state", "epoch", "7", "offset", "2", "floor", "1", "unread", unread)
    }

    @Test func driftsAreNamedAndCounted() async throws {
        let redis = try RedisServer()
        defer { redis.stop() }
        try redis.cli("SET", "shards", "1")
        try give(redis, "inbox:{0}:bob", unread: "2")
        let environment = ["REDIS_URL": redis.url, "SHARDS": "1"]
        let sound = await carillonctl("inbox", "audit", "--all", environment: environment)
        #expect(sound.status == 0 && sound.written.out.isEmpty && sound.written.error.contains("1 inboxes, 0 drifts"))
        try give(redis, "inbox:{0}:acme/eve:state", unread: "1")
        try redis.cli("SADD", "inbox:{0}:acme/eve:state:marks", "9")
        let all = await carillonctl("inbox", "audit", "--all", environment: environment)
        #expect(all.status == 1)
        #expect(
            all.written.lines == [
                "acme/eve:state  unread is 1, and 2 are", "acme/eve:state  1 of 1 marks mark no entry behind read",
            ])
        #expect(await carillonctl("inbox", "audit", "--user", "bob", environment: environment).status == 0)
        #expect(await carillonctl("inbox", "audit", "--user", "acme/eve:state", environment: environment).status == 1)
        let nobody = await carillonctl("inbox", "audit", "--user", "nobody", environment: environment)
        #expect(nobody.status == 0 && nobody.written.error.contains("nobody has no inbox"))
    }

    @Test func aRestoredRedisBeginsAGeneration() async throws {
        let redis = try RedisServer()
        defer { redis.stop() }
        let environment = ["REDIS_URL": redis.url, "NAMESPACE": "n"]
        for generation in ["1", "2"] {
            let answer = await carillonctl("redis", "restored", environment: environment)
            #expect(answer.status == 0 && answer.written.lines == ["generation \(generation)"])
        }
        #expect(try redis.cli("HGET", "n:generation", "number") == "2")
        let away = await carillonctl("redis", "restored", environment: ["REDIS_URL": "redis://127.0.0.1:1"])
        #expect(away.status == 1 && away.written.error.contains("REDIS_URL"))
    }

    @Test func whatCannotBeDoneIsSaid() async throws {
        #expect(await carillonctl("inbox", "audit").status == 64)
        #expect(await carillonctl("inbox", "audit", "--all", "--user", "bob").status == 64)
        #expect(await carillonctl("inbox", "audit", "--user", "a{b").status == 64)
        let away = await carillonctl("inbox", "audit", "--all", environment: ["REDIS_URL": "redis://127.0.0.1:1"])
        #expect(away.status == 1 && away.written.error.contains("REDIS_URL"))
    }
}
