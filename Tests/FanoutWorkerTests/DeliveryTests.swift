import Foundation
import Kafka
import Models
import Store
import TestSupport
import Testing

private func header(_ record: KafkaRecord, _ name: String) -> String {
    String(decoding: record.header(name) ?? [], as: UTF8.self)
}

@Suite(.blocking, .serialized) struct DeliveryTests {
    @Test func bringsEveryNotificationToItsPeople() async throws {
        let rig = try await Rig(["FANOUT_AUDIENCE_PAGE": "100", "FANOUT_CALLS_IN_FLIGHT": "50"])
        try await rig.addGateway("one")
        try await rig.addGateway("two")
        try await rig.addGateway("dead", listens: false)
        try await rig.register("alice", at: "one", index: 1)
        try await rig.register("alice", at: "two", index: 2)
        try await rig.register("carol", at: "one", index: 3)
        try await rig.register("dave", at: "dead", index: 4)

        try await namedPeople(rig)
        try await whoHasNoGateway(rig)
        try await audiences(rig)
        try await unreadable(rig)
        try await inboxesThatRefuse(rig)
        try await members(rig)
        await rig.end()
    }

    /// A rewound group reads all records again: it pushes what is open, and nothing that reached her meanwhile.
    @Test func aReplayPushesOnlyWhatIsOpen() async throws {
        let rig = try await Rig()
        let records = (0..<6).map { record($0, for: #"{"user":"erin"}"#) }
        await rig.produce("notifications.normal", records.map { ("erin", $0.value) })
        #expect(try await rig.read("push.normal", count: 6).count == 6)
        await rig.wait { rig, done in
            rig.inbox.markRead(.ids([NotificationID(records[4].id)!]), of: PersonID("erin")!) { _ in done() }
        }
        await rig.wait { rig, done in
            rig.inbox.acknowledge(.ids([NotificationID(records[1].id)!]), of: PersonID("erin")!) { _ in done() }
        }
        await rig.produce("notifications.normal", records.map { ("erin", $0.value) })
        #expect(try await rig.read("push.normal", count: 9).count == 9)
        #expect(try await eventually { await rig.metric("carillon_fanout_needless_pushes_total") == 3 })
        let again = try rig.read("push.normal").suffix(3).map { try PushRecord.read($0.value).id.description }
        #expect(again == [records[2].id, records[3].id, records[5].id])
        await rig.end()
    }

    /// In order, once, on every device, together where they wait for one person.
    private func namedPeople(_ rig: Rig) async throws {
        let records = (0..<200).map {
            record($0, for: $0 % 2 == 0 ? #"{"user":"alice"}"# : #"{"users":["carol","alice"]}"#, actor: "carol")
        }
        await rig.produce("notifications.normal", records.map { ("alice", $0.value) })
        #expect(try await rig.until { $0.heardCount("one") >= 200 && $0.heardCount("two") >= 200 })
        #expect(try await rig.inbox("alice") == records.map(\.id))
        #expect(try await rig.inbox("carol") == [])
        for gateway in ["one", "two"] {
            let heard = try await rig.heard(gateway)
            #expect(heard.map { $0.recipient.position?.offset } == (1...200).map { UInt64($0) })
            #expect(zip(heard, records).allSatisfy { $0.notification.contains($1.id) })
            #expect(Set(heard.map(\.sequence)) == Set(1...(heard.last?.sequence ?? 0)))
            #expect(heard.allSatisfy { $0.recipient.connection.index == (gateway == "one" ? 1 : 2) })
        }
        #expect(await rig.metric("carillon_fanout_deliveries_total{outcome=\"fresh\"}") == 200)
        #expect(try await eventually { await rig.metric("carillon_fanout_published_seconds_count") == 400 })
        // The same records again: the inbox knows them, the gateways hear of them again.
        await rig.produce("notifications.normal", records.prefix(3).map { ("alice", $0.value) })
        #expect(try await rig.until { $0.heardCount("one") >= 203 })
        #expect(try await rig.heard("one").suffix(3).map { $0.recipient.position?.offset } == [1, 2, 3])
        #expect(try await rig.inbox("alice").count == 200)
    }

    /// Nobody holds erin; dave's gateway does not listen.
    private func whoHasNoGateway(_ rig: Rig) async throws {
        let loud = record(1000, for: #"{"user":"erin"}"#)
        let quiet = record(1001, for: #"{"user":"erin"}"#, push: false)
        let unheard = record(1002, for: #"{"user":"dave"}"#)
        await rig.produce("notifications.high", [("erin", loud.value), ("erin", quiet.value), ("dave", unheard.value)])
        let pushes = try await rig.read("push.high", count: 2).map { ($0, try PushRecord.read($0.value)) }
        #expect(pushes.count == 2)
        for (record, push) in pushes {
            #expect(record.key == Array(push.person.text.utf8) && push.reason == .offline && push.position.offset == 1)
            #expect(push.id.description == (push.person == PersonID("erin") ? loud.id : unheard.id))
            #expect(header(record, "traceparent") == "00-1")
        }
        // What is not pushed may be in a batch behind the others'.
        #expect(try await eventually { try await rig.inbox("erin").count == 2 })
        #expect(try await rig.inbox("erin") == [loud.id, quiet.id])
        #expect(try await rig.inbox("dave") == [unheard.id])
        // The routes were read once more before dave counted as one without.
        #expect(await rig.metric("carillon_fanout_unheard_publishes_total") == 2)
    }

    /// More members than a page and than calls in flight; posts of one key in order; the actor hears nothing.
    private func audiences(_ rig: Rig) async throws {
        let members = (0..<350).map { "m\($0)" }
        await rig.add(members + ["alice"], to: "channel:general")
        let before = try await rig.heard("one").count
        let repeated = await rig.metric(#"carillon_fanout_deliveries_total{outcome="repeated"}"#)
        let posts = (2000..<2003).map { record($0, for: #"{"channel":"general"}"#, actor: $0 == 2001 ? "m7" : "alice") }
        let after = record(2003, for: #"{"user":"m7"}"#)
        await rig.produce("notifications.low", posts.map { ("room", $0.value) } + [("room", after.value)])
        let pushes = try await rig.read("push.low", count: 1050)
        #expect(pushes.count == 1050)
        for member in ["m0", "m123", "m349"] { #expect(try await rig.inbox(member) == posts.map(\.id)) }
        #expect(try await rig.inbox("m7") == [posts[0].id, posts[2].id, after.id])
        #expect(try await rig.until { $0.heardCount("one") > before })
        // One post, at one place. A batch that the group takes back meanwhile is published again.
        let heard = try await rig.heard("one").dropFirst(before)
        #expect(heard.allSatisfy { $0.notification.contains(posts[1].id) })
        #expect(Set(heard.map { $0.recipient.position?.offset }).count == 1)
        if await rig.metric(#"carillon_fanout_deliveries_total{outcome="repeated"}"#) == repeated { #expect(heard.count == 1) }
        // A channel without members is nobody's fault.
        await rig.produce("notifications.low", [("x", record(2004, for: #"{"channel":"empty"}"#).value)])
        let seven = try await rig.read("push.low", count: 1050).filter { $0.key == Array("m7".utf8) }
        #expect(try seven.map { try PushRecord.read($0.value).position.offset } == [1, 2, 3])
    }

    /// What cannot be read is given up with its reason and passes nothing on; what has expired disturbs nobody.
    private func unreadable(_ rig: Rig) async throws {
        let old = record(3000, for: #"{"user":"fred"}"#, accepted: 1, ttlSeconds: 5)
        let good = record(3001, for: #"{"user":"fred"}"#)
        await rig.produce(
            "notifications.normal",
            [
                ("fred", "nonsense"), ("fred", "{}"), ("fred", record(3002, for: #"{"followersOf":"fred"}"#).value),
                ("fred", record(3003, for: #"{"broadcast":true}"#).value), ("fred", old.value), ("fred", good.value),
            ])
        let letters = try await rig.read("notifications.dlq", count: 4)
        #expect(letters.map { header($0, "dlq-reason") } == ["not_json", "invalid_data", "invalid_data", "invalid_data"])
        #expect(letters.first.map { String(decoding: $0.value, as: UTF8.self) } == "nonsense")
        #expect(letters.allSatisfy { header($0, "dlq-topic") == "t.notifications.normal" && header($0, "traceparent") == "00-1" })
        #expect(try await rig.read("push.normal", count: 1).count == 1)
        #expect(try await rig.inbox("fred") == [good.id])
        #expect(await rig.metric("carillon_fanout_records_total{outcome=\"expired\"}") == 1)
    }

    /// A fault that no repetition mends: tried some times, then given up, and what stands behind it goes on.
    private func inboxesThatRefuse(_ rig: Rig) async throws {
        let shard = shard(of: PersonID("gina")!, shards: 64)
        try rig.redis.cli("SET", "t:inbox:{\(shard)}:gina", "no stream")
        await rig.produce("notifications.normal", [("gina", record(4000, for: #"{"users":["gina","hans"]}"#).value)])
        let letters = try await rig.read("notifications.dlq", count: 5)
        #expect(
            letters.count == 5 && letters.contains { header($0, "dlq-reason") == "attempts_exhausted" && header($0, "dlq-attempts") == "5" }
        )
        #expect(try await rig.read("push.normal", count: 2).count == 2)
    }

    private func members(_ rig: Rig) async throws {
        let path = "/v1/audiences/channel%3Anew%2Froom/members"
        #expect(await rig.rest("PUT", path, #"{"members":["a","b","c"]}"#).hasSuffix(#"{"count":3}"#))
        #expect(await rig.rest("PUT", path, #"{"members":["a"]}"#).hasSuffix(#"{"count":3}"#))
        #expect(await rig.rest("GET", path + "?limit=2").hasSuffix(#"{"members":["a","b"],"next":"b"}"#))
        #expect(await rig.rest("GET", path + "?limit=2&after=b").hasSuffix(#"{"members":["c"],"next":null}"#))
        #expect(await rig.rest("DELETE", path, #"{"members":["a","x"]}"#).hasSuffix(#"{"count":2}"#))
        #expect(try rig.redis.cli("ZRANGE", "t:audience:{channel:new/room}", "0", "-1") == "b\nc")
        #expect(await rig.rest("GET", path, key: "wrong").contains("#api_key_invalid"))
        #expect(await rig.rest("GET", path + "?limit=0").contains("#invalid_limit"))
        for (method, path, body) in [
            ("PUT", "/v1/audiences/general/members", "{\"members\":[]}"), ("PUT", path, "{}"),
            ("GET", path + "?after=%7B", ""), ("DELETE", path, "[]"),
        ] {
            #expect(await rig.rest(method, path, body).contains("#invalid_request"))
        }
    }
}
