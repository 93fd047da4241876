import Kafka
import Models
import Testing

@testable import NotificationService

/// What is accepted is delivered, or is a dead letter that Kafka takes.
@Suite struct DeadLetterTests {
    private static let megabyte = [UInt8](repeating: 0x61, count: 1_000_000)
    private static let post = event(#"{"audience":{"channel":"general"}}"#)

    private func letter(_ record: KafkaRecord) throws -> (OutgoingRecord, DeadLetterReason?) {
        let (outcome, outputs) = try run(record)
        #expect(outputs.count == 1)
        guard case .deadLetter(let reason) = outcome else { return (try #require(outputs.first), nil) }
        return (try #require(outputs.first), reason)
    }

    @Test func aMegabyteOfHeadersFits() throws {
        var bad = record("not json", headers: [KafkaHeader("first", "1"), KafkaHeader("big", Self.megabyte), KafkaHeader("last", "2")])
        bad.headers += (0..<20_000).map { KafkaHeader("h\($0)", "v") }
        let (letter, reason) = try letter(bad)
        #expect(reason == .notJSON && letter.size < 100_000)
        #expect(text(letter, "first") == "1" && text(letter, "last") == "2" && text(letter, "big")?.utf8.count == 1_024)
        #expect(text(letter, "dlq-headers-count") == "20003" && text(letter, "dlq-headers-sha256")?.utf8.count == 64)
        #expect(text(letter, "dlq-headers-length").flatMap { Int($0) } ?? 0 > 1_000_000)
        #expect(letter.value == Array("not json".utf8) && text(letter, "dlq-length") == nil)
    }

    @Test func aMegabyteOfKeyFits() throws {
        var bad = record("not json")
        bad.key = Self.megabyte
        let (letter, reason) = try letter(bad)
        #expect(reason == .notJSON && letter.size < 100_000 && letter.key?.count == 4_096)
        #expect(text(letter, "dlq-key-length") == "1000000" && text(letter, "dlq-key-sha256")?.utf8.count == 64)
    }

    /// A valid post whose key would be its notification's: that record could not be written.
    @Test func aValidPostUnderSuchAKeyIsADeadLetter() throws {
        var valid = record(Self.post)
        valid.key = Self.megabyte
        let (letter, reason) = try letter(valid)
        #expect(reason == .tooLarge && letter.topic == "events.dlq" && letter.size < 100_000)
        #expect(text(letter, "dlq-detail") == "the record's key is longer than 32768 bytes")
        #expect(letter.value == Array(Self.post.utf8))
        // The largest one that is taken, and a person's, whose key is her own.
        valid.key = [UInt8](repeating: 0x61, count: 32_768)
        #expect(try self.letter(valid).0.topic == "notifications.normal")
        var personal = record(event(#"{"audience":{"user":"bob"}}"#))
        personal.key = Self.megabyte
        #expect(try self.letter(personal).0.key == Array("bob".utf8))
    }

    @Test func aTombstoneStaysOne() throws {
        var tombstone = record("", headers: [KafkaHeader("content-type", "application/cloudevents+json")], key: "k")
        tombstone.isTombstone = true
        let (letter, reason) = try letter(tombstone)
        #expect(reason == .invalidData && letter.isTombstone)
        #expect(text(letter, "dlq-detail") == "no data: the record is a tombstone")
        #expect(try self.letter(record("")).0.isTombstone == false)
    }

    @Test func aHeaderWithANullValueIsAbsentAndKept() throws {
        let nulls = ["content-type", "ce_id", "traceparent", "content-encoding"].map { KafkaHeader($0, nil as [UInt8]?) }
        let (read, none) = try letter(record(event(#"{"audience":{"user":"bob"}}"#), headers: nulls))
        #expect(none == nil && read.topic == "notifications.normal")
        let (letter, reason) = try letter(record("not json", headers: nulls))
        #expect(reason == .notJSON && Array(letter.headers.prefix(4)) == nulls)
    }

    @Test func mistakesOfATypeThatIsNotSilent() throws {
        let said = event(#"{"audience":{"user":"bob"},"title":"Hi"}"#, type: "message.direct")
        #expect(try letter(record(said)).1 == nil)
        let silent = try letter(record(event(#"{"audience":{"user":"bob"},"body":"Hi"}"#, type: "message.direct")))
        #expect(silent.1 == .invalidData)
        #expect(text(silent.0, "dlq-detail") == "data.title and data.template are both missing, and the policy is not silent")
    }
}
