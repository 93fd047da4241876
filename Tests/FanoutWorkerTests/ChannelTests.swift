import Foundation
import Kafka
import Lanes
import Models
import Store
import TestSupport
import Testing

@testable import FanoutWorker

@Suite(.blocking, .serialized) struct ChannelTests {
    /// One entry a post, under the id that the inboxes have; one line for each gateway with watchers; nothing twice.
    @Test func aPostIsOneEntryOfItsChannel() async throws {
        let rig = try await Rig(["FANOUT_CALL_BYTES": "1KB"])
        for gateway in ["one", "two", "idle"] { try await rig.addGateway(gateway) }
        try await rig.addGateway("dead", listens: false)
        for gateway in ["one", "two", "dead"] { try await rig.watch("general", at: gateway) }
        await rig.add(["ann", "bob"], to: "channel:general")
        let posts = (1...60).map { record($0, for: #"{"channel":"general"}"#, actor: "ann") }
        await rig.produce("notifications.normal", posts.map { ("room", $0.value) })
        #expect(try await rig.until { $0.postCount("one") >= 60 && $0.postCount("two") >= 60 })
        #expect(try await rig.history("general") == posts.map(\.id))
        for gateway in ["one", "two"] {
            let heard = try await rig.posts(gateway)
            #expect(heard.count == 60)
            for (number, post) in posts.enumerated() {
                #expect(heard[number].hasPrefix("general \(number + 1) {") && heard[number].contains(post.id))
            }
        }
        #expect(try await rig.posts("idle").isEmpty)
        #expect(try await rig.until { _ in true })
        #expect(try await rig.read("push.normal", count: 60).count == 60)
        #expect(try await rig.inbox("bob") == posts.map(\.id))
        #expect(await rig.metric("carillon_fanout_posts_total{outcome=\"fresh\"}") == 60)
        // The same records again: the channel knows them, the gateways hear of them again.
        await rig.produce("notifications.normal", posts.prefix(3).map { ("room", $0.value) })
        #expect(try await rig.until { $0.postCount("one") >= 63 })
        #expect(try await rig.posts("one").suffix(3).map { $0.split(separator: " ")[1] } == ["1", "2", "3"])
        #expect(try await rig.history("general").count == 60)
        // One that is gone for good, and was not swept here, is told once more and then no more.
        try rig.redis.cli("DEL", try rig.redis.cli("KEYS", "t:gateway:{dead#*}:sequence"))
        await rig.produce("notifications.normal", [("room", record(61, for: #"{"channel":"general"}"#).value)])
        #expect(
            try await eventually {
                let watchers = try rig.redis.cli("HKEYS", "t:channel:{general}:watchers").split(separator: "\n")
                return watchers.count == 2 && !watchers.contains { $0.hasPrefix("dead#") }
            })
        // Nobody watches and nobody is a member: the history has it all the same.
        await rig.produce("notifications.low", [("x", record(99, for: #"{"channel":"empty"}"#).value)])
        #expect(try await eventually { try await rig.history("empty").count == 1 })
        // A fault that no repetition mends.
        try rig.redis.cli("SET", "t:channel:{broken}", "no stream")
        await rig.produce("notifications.low", [("x", record(100, for: #"{"channel":"broken"}"#).value)])
        let letters = try await rig.read("notifications.dlq", count: 1)
        #expect(letters.map { String(decoding: $0.header("dlq-reason") ?? [], as: UTF8.self) } == ["attempts_exhausted"])
        await rig.end()
    }

    @Test func postsOfOneChannelWaitForEachOther() {
        var posts = ChannelPosts(LaneBounds(calls: 9, callRecords: 500, callBytes: 90, attempts: 2))
        var hold = Hold()
        let id = NotificationID(digest: [UInt8](repeating: 1, count: 16))
        func post(_ index: Int) -> Delivery { Delivery(id: id, accepted: Int64(index), bytes: [UInt8](repeating: 0, count: 40)) }
        func next() -> (line: Int, posts: [Int64])? { posts.next(hold, post).map { ($0.line, $0.call.posts.map(\.accepted)) } }
        let (a, b) = (ChannelID("a")!, ChannelID("b")!)
        for (index, channel) in [a, a, b, a].enumerated() { posts.admit(index, bytes: 40, to: channel) }
        // Bounded by bytes: two go together, the third waits.
        let first = next()
        #expect(first?.line == 0 && first?.posts == [0, 1])
        let second = next()
        #expect(second?.line == 1 && second?.posts == [2])
        #expect(next() == nil)
        for _ in 0..<10 {
            _ = hold.failed(isOutage: true)
            #expect(posts.failed(0, isOutage: true) == .again)
            #expect(next() == nil)
            hold.resume()
            #expect(next()?.posts == [0, 1])
        }
        _ = posts.appended(0, gateways: 2)
        posts.published(0)
        #expect(next() == nil)
        posts.published(0)
        #expect(next()?.posts == [3])
        #expect(posts.failed(0, isOutage: false) == .again)
        #expect(next()?.posts == [3])
        #expect(posts.failed(0, isOutage: false) == .givenUp([3]))
        #expect(!posts.isEmpty)
        _ = posts.appended(1, gateways: 0)
        #expect(posts.isEmpty)
    }
}
