import Foundation
import Kafka
import Models
import Policies
import Testing

@testable import NotificationService

let now: Int64 = 1_790_000_000_000
private let hour: Int64 = 3_600_000

func makeTranslation(_ change: (inout EventLimits) -> Void = { _ in }) throws -> EventTranslation {
    var limits = EventLimits()
    change(&limits)
    let policies = """
        types:
          social.like: {category: social, priority: normal, channels: [in-app], ttlSeconds: 86400, silent: true}
          social.*: {category: social, priority: normal, channels: [in-app, push], ttlSeconds: 3600, silent: true}
          transaction.payment: {category: payment, priority: high, channels: [in-app, push], ttlSeconds: 86400, silent: true}
          message.*: {category: messages, priority: normal, channels: [in-app], ttlSeconds: 60}
          com.example.comment: {category: social, priority: normal, channels: [in-app], ttlSeconds: 60, topic: events.comments}
        """
    return EventTranslation(policies: try PolicyFile.read(Array(policies.utf8)), topics: Topics(), limits: limits)
}

func record(_ json: String, headers: [KafkaHeader] = [], key: String? = nil, timestamp: Int64 = now) -> KafkaRecord {
    KafkaRecord(
        topic: "events.social", partition: 3, offset: 41, key: key.map { Array($0.utf8) }, value: Array(json.utf8),
        headers: headers, timestamp: timestamp)
}

func event(_ data: String, type: String = "social.mention", more: String = "") -> String {
    #"{"specversion":"1.0","id":"1","source":"/test","type":"\#(type)"\#(more),"data":\#(data)}"#
}

func run(
    _ record: KafkaRecord, _ translation: EventTranslation? = nil
) throws -> (outcome: EventOutcome, outputs: [OutgoingRecord]) {
    var outputs: [OutgoingRecord] = []
    let outcome = try (translation ?? makeTranslation()).translate(record, now: now, into: &outputs)
    return (outcome, outputs)
}

private func object(_ bytes: [UInt8]) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
}

func text(_ record: OutgoingRecord, _ header: String) -> String? {
    record.headers.first { $0.name == header }.map { String(decoding: $0.value ?? [], as: UTF8.self) }
}

@Suite struct EventTranslationTests {
    @Test func aStructuredEventBecomesOneRecordForItsPerson() throws {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let (outcome, outputs) = try run(
            record(
                event(
                    #"{"audience":{"user":"bob"},"actor":{"id":"alice","name":"Alice"},"title":"Hi","data":{"n":1}}"#,
                    more: #","traceparent":"\#(trace)""#)))
        #expect(outcome == .notified(.normal, records: 1))
        let output = try #require(outputs.first)
        #expect(output.topic == "notifications.normal")
        #expect(output.key == Array("bob".utf8))
        #expect(text(output, "traceparent") == trace)
        let fields = try object(output.value)
        #expect(fields["accepted"] as? Int64 == now)
        #expect(fields["push"] as? Bool == true)
        #expect(fields["ttlSeconds"] as? Int == 3_600)
        let notification = try #require(fields["notification"] as? [String: Any])
        // SHA-256 of "/test", a zero byte and "1", as a UUID of version 8.
        #expect((notification["id"] as? String)?.count == 36)
        #expect(notification["title"] as? String == "Hi")
        #expect((notification["actor"] as? [String: Any])?["name"] as? String == "Alice")
    }

    /// A notification-service that stood still shows: what it takes up then was accepted when its record reached Kafka.
    @Test func whatWaitedInKafkaIsAcceptedWhenItCameThere() throws {
        let data = #"{"audience":{"user":"bob"}}"#
        let output = try #require(run(record(event(data), timestamp: now - 15_000)).outputs.first)
        let notification = try NotificationRecord.read(output.value)
        #expect(notification.accepted == now - 15_000 && notification.expiresAt == now - 15_000 + hour)
        #expect(output.topic == "notifications.normal" && String(decoding: output.value, as: UTF8.self).contains(#""priority":"normal""#))
        // A record without a timestamp, and one of a clock that is ahead.
        for timestamp in [-1, 0, now + hour] {
            let output = try #require(run(record(event(data), timestamp: timestamp)).outputs.first)
            #expect(try NotificationRecord.read(output.value).accepted == now)
        }
    }

    @Test func binaryModeSaysTheSame() throws {
        let data = #"{"audience":{"user":"bob"},"title":"Hi"}"#
        let headers = ["specversion": "1.0", "id": "1", "source": "/test", "type": "social.mention"].map {
            KafkaHeader("ce_" + $0.key, $0.value)
        }
        let binary = try run(record(data, headers: headers + [KafkaHeader("content-type", "application/json")]))
        let structured = try run(record(event(data)))
        #expect(binary.outputs == structured.outputs)
        #expect(binary.outputs.count == 1)
    }

    @Test func namedPeopleGetOneEachAndNeverTheActor() throws {
        let (outcome, outputs) = try run(record(event(#"{"audience":{"users":["a","b","a","c"]},"actor":"b"}"#)))
        #expect(outcome == .notified(.normal, records: 2))
        #expect(outputs.map(\.key) == [Array("a".utf8), Array("c".utf8)])
        #expect(try run(record(event(#"{"audience":{"user":"b"},"actor":"b"}"#))).outcome == .nobody)
    }

    @Test func aChannelStaysOneRecordUnderTheEventsKey() throws {
        let data = #"{"audience":{"channel":"general"}}"#
        #expect(try run(record(event(data), key: "thread-9")).outputs.map(\.key) == [Array("thread-9".utf8)])
        #expect(try run(record(event(data))).outputs.map(\.key) == [Array("channel:general".utf8)])
    }

    @Test func thePolicyDecidesLaneAndPushAndTheEventMayOverrule() throws {
        let data = #"{"audience":{"user":"bob"}}"#
        #expect(try run(record(event(data, type: "transaction.payment"))).outputs.map(\.topic) == ["notifications.high"])
        let liked = try object(try #require(run(record(event(data, type: "social.like"))).outputs.first).value)
        #expect(liked["push"] as? Bool == false)
        let low = try run(record(event(#"{"audience":{"user":"bob"},"priority":"low"}"#)))
        #expect(low.outcome == .notified(.low, records: 1))
    }

    @Test func whatIsPastItsTimeDisturbsNobody() throws {
        let data = #"{"audience":{"user":"bob"}}"#
        #expect(try run(record(event(data), timestamp: now - 2 * hour)).outcome == .expired)
        #expect(try run(record(event(data), timestamp: now - 2 * hour)).outputs.isEmpty)
        #expect(try run(record(event(data), timestamp: now - 8 * 24 * hour)).outcome == .deadLetter(.tooOld))
    }

    @Test(arguments: [
        ("not json", DeadLetterReason.notJSON),
        (#"{"id":"1"}"#, .notCloudEvents),
        (event(#"{"audience":{"user":"bob"}}"#, type: "nobody.knows"), .unknownType),
        (event(#"{"title":"for whom?"}"#), .invalidData),
        (event(#"{"audience":{"user":"b{b"}}"#), .invalidData),
        (event(#"{"audience":{"followersOf":"alice"}}"#), .invalidData),
        (event(#"{"audience":{"broadcast":true}}"#), .invalidData),
    ])
    func whatCannotBeReadIsOneDeadLetterThatSaysWhyAndWhereFrom(json: String, reason: DeadLetterReason) throws {
        let (outcome, outputs) = try run(record(json, headers: [KafkaHeader("x", "kept")], key: "k"))
        #expect(outcome == .deadLetter(reason))
        #expect(outputs.count == 1)
        let letter = try #require(outputs.first)
        #expect(letter.topic == "events.dlq")
        #expect(letter.value == Array(json.utf8))
        #expect(letter.key == Array("k".utf8))
        #expect(text(letter, "x") == "kept")
        #expect(text(letter, "dlq-reason") == reason.rawValue)
        #expect(text(letter, "dlq-topic") == "events.social")
        #expect(text(letter, "dlq-partition") == "3")
        #expect(text(letter, "dlq-offset") == "41")
        #expect(text(letter, "dlq-at") == String(now))
    }

    @Test func anEventOverTheLimitLeavesItsBeginning() throws {
        let json = event(#"{"audience":{"user":"bob"},"body":"\#(String(repeating: "x", count: 300_000))"}"#)
        let (outcome, outputs) = try run(record(json))
        #expect(outcome == .deadLetter(.tooLarge))
        let letter = try #require(outputs.first)
        #expect(letter.value == Array(json.utf8.prefix(65_536)))
        #expect(text(letter, "dlq-length") == String(json.utf8.count))
        #expect(text(letter, "dlq-sha256")?.count == 64)
    }

    @Test func oneEventCannotBecomeGigabytes() throws {
        let translation = try makeTranslation { $0.expandedBytes = 1 << 20 }
        let people = (0..<1_000).map { "\"p\($0)\"" }.joined(separator: ",")
        let json = event(#"{"audience":{"users":[\#(people)]},"body":"\#(String(repeating: "x", count: 2_000))"}"#)
        let (outcome, outputs) = try run(record(json), translation)
        #expect(outcome == .deadLetter(.tooLarge))
        #expect(outputs.count == 1)
    }

    /// The id stands in each of the records, as does each person's own key.
    @Test func theExpansionCountsWhatIsWrittenIdsAndKeysIncluded() throws {
        let people = (0..<100).map { "\"\(String(repeating: "p", count: 100))\($0)\"" }.joined(separator: ",")
        let id = String(repeating: "i", count: 1_000)
        let json =
            #"{"specversion":"1.0","id":"\#(id)","source":"/test","type":"social.mention","data":{"audience":{"users":[\#(people)]}}}"#
        let whole = try run(record(json)).outputs.reduce(0) { $0 + $1.size }
        #expect(whole > 100 * 1_200)
        let just = try makeTranslation { $0.expandedBytes = whole }
        #expect(try run(record(json), just).outcome == .notified(.normal, records: 100))
        let less = try makeTranslation { $0.expandedBytes = whole - 1 }
        #expect(try run(record(json), less).outcome == .deadLetter(.tooLarge))
        // Whoever posts it hears of it at once, and of the limit's name.
        #expect(throws: Never.self) { _ = try just.check(value: Array(json.utf8), headers: [], now: now) }
        let refusal = try #require(throws: DeadLetter.self) { _ = try less.check(value: Array(json.utf8), headers: [], now: now) }
        #expect(refusal.reason == .tooLarge && refusal.detail.contains("EVENT_MAX_EXPANSION (\(whole - 1))"))
    }

    @Test func aRequestIsCheckedAsTheReaderWould() throws {
        let translation = try makeTranslation()
        let place = try translation.check(
            value: Array(event(#"{"audience":{"user":"bob"}}"#).utf8), headers: [], now: now)
        #expect(place.topic == "events.social")
        #expect(place.key == "bob")
        let comment = event(#"{"audience":{"user":"bob"},"title":"Hi"}"#, type: "com.example.comment")
        #expect(try translation.check(value: Array(comment.utf8), headers: [], now: now).topic == "events.comments")
        #expect(throws: DeadLetter.self) {
            try translation.check(value: Array(event(#"{"audience":{"user":"bob"}}"#, type: "dlq.x").utf8), headers: [], now: now)
        }
    }
}
