import Foundation
import Kafka
import Models
import TestSupport
import Testing

@Suite(.blocking, .serialized) struct OutageTests {
    /// Redis stops three ways while records come: nothing is lost, doubled, reordered or given up.
    @Test func anOutageOfRedisSaysNothingAboutARecord() async throws {
        let rig = try await Rig(["FANOUT_ATTEMPTS": "1", "REDIS_COMMAND_TIMEOUT": "2s"])
        try await rig.addGateway("one")
        for index in 0..<5 { try await rig.register("p\(index)", at: "one", index: UInt32(index)) }
        var records: [(key: String, value: String, id: String)] = []
        func produce(_ count: Int) async {
            let added = (0..<count).map { offset in
                let number = records.count + offset
                let made = record(number, for: #"{"user":"p\#(number % 7)"}"#)
                return (key: "p\(number % 7)", value: made.value, id: made.id)
            }
            records += added
            await rig.produce("notifications.normal", added.map { ($0.key, $0.value) })
        }
        func caughtUp() async throws {
            for index in 0..<7 {
                let expected = records.filter { $0.key == "p\(index)" }.map(\.id)
                let deadline = Date() + 40
                while Date() < deadline, (try? await rig.inbox("p\(index)").count) != expected.count {
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(try await rig.inbox("p\(index)") == expected)
            }
        }
        await produce(100)
        try await caughtUp()

        await produce(300)
        rig.redis.stop()
        await produce(200)
        #expect(try await rig.isRedis(up: false))
        try rig.redis.start()
        try await caughtUp()

        await produce(100)
        rig.redis.suspend()
        await produce(200)
        #expect(try await rig.isRedis(up: false))
        rig.redis.resume()
        try await caughtUp()

        try rig.redis.cli("CONFIG", "SET", "maxmemory", "1")
        await produce(300)
        let before = await rig.metric("carillon_fanout_retries_total")
        let deadline = Date() + 40
        while Date() < deadline, await rig.metric("carillon_fanout_retries_total") == before {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(await rig.metric("carillon_fanout_retries_total") > before)
        #expect(try await rig.isRedis(up: false))
        try rig.redis.cli("CONFIG", "SET", "maxmemory", "0")
        try await caughtUp()

        let pushed = records.filter { $0.key == "p5" || $0.key == "p6" }.count
        // Whoever has a route may get a push as well, while the gateway's own ear to Redis is not back yet (nobody hears).
        func pushes() throws -> Int {
            try rig.read("push.normal").filter { $0.key == Array("p5".utf8) || $0.key == Array("p6".utf8) }.count
        }
        let end = Date() + 40
        while Date() < end, try pushes() < pushed { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try pushes() == pushed)
        let all = try rig.read("push.normal").map(\.value)
        #expect(Set(all).count == all.count, "none of them twice")
        #expect(try rig.read("notifications.dlq").isEmpty)
        #expect(try await rig.isRedis(up: true))
        await rig.end()
    }
}
