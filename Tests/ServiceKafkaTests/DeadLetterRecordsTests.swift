import Kafka
import Models
import ServiceKafka
import ServiceRuntime
import Settings
import TestSupport
import Testing

private func text(_ record: OutgoingRecord, _ name: String) -> String? {
    record.headers.first { $0.name == name }.map { String(decoding: $0.value ?? [], as: UTF8.self) }
}

private func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0x78, count: count) }

@Suite(.blocking) struct DeadLetterRecordsTests {
    private let fault = DeadLetter(.notJSON, "the value is not JSON")

    private func letter(_ record: KafkaRecord, room: DeadLetterRoom? = nil) -> OutgoingRecord {
        .deadLetter(record, fault, attempts: 2, topic: "events.dlq", at: 5, room: room)
    }

    @Test func whatFitsIsKeptWhole() {
        let record = KafkaRecord(
            topic: "events.a", key: [1], value: bytes(900_000),
            headers: [KafkaHeader("null", nil as [UInt8]?), KafkaHeader("a", bytes(9_000))])
        let letter = letter(record)
        #expect(letter.value == record.value && letter.key == [1] && Array(letter.headers.prefix(2)) == record.headers)
        #expect(letter.headers.count == 9 && text(letter, "dlq-length") == nil)
    }

    @Test func whatDoesNotFitIsCutAndSaysOfWhat() {
        let record = KafkaRecord(topic: "events.a", key: bytes(5_000), value: bytes(950_000), headers: [KafkaHeader("a", bytes(20_000))])
        let letter = letter(record)
        #expect(letter.value.count == 65_536 && letter.key?.count == 4_096)
        #expect(text(letter, "a")?.utf8.count == 1_024)
        #expect(
            ["dlq-length", "dlq-key-length", "dlq-headers-length", "dlq-headers-count"].map { text(letter, $0) }
                == ["950000", "5000", "20001", "1"])
    }

    /// A topic with a limit of its own: less and less of it is offered, until nothing can be left out.
    @Test func aLetterThatKafkaDoesNotTakeKeepsWhatFits() throws {
        let record = KafkaRecord(topic: "events.a", key: bytes(600), value: bytes(100_000), headers: [KafkaHeader("a", bytes(9_000))])
        let whole = letter(record)
        let short = try #require(OutgoingRecord.refused(whole, topic: "events.dlq", at: 6))
        #expect(short.value.count == 65_536 && short.key == record.key && text(short, "a")?.utf8.count == 9_000)
        let least = try #require(OutgoingRecord.refused(short, topic: "events.dlq", at: 7))
        #expect(least.value.count == 4_096 && least.key?.count == 512 && text(least, "a") == nil)
        #expect(least.size < 6_000)
        // What is said of the whole is not said of a part.
        #expect(text(least, "dlq-length") == "100000" && text(least, "dlq-sha256") == text(short, "dlq-sha256"))
        #expect(text(least, "dlq-headers-length") == "9001" && text(least, "dlq-key-length") == "600")
        #expect(text(least, "dlq-reason") == "not_json" && text(least, "dlq-at") == "5")
        #expect(OutgoingRecord.refused(least, topic: "events.dlq", at: 8) == nil)
    }

    @Test func anOutputThatKafkaDoesNotTakeBecomesALetter() throws {
        let output = OutgoingRecord(
            topic: "notifications.low", key: bytes(2_000_000), value: bytes(10), headers: [KafkaHeader("traceparent", "t")])
        let letter = try #require(OutgoingRecord.refused(output, topic: "events.dlq", at: 6))
        #expect(letter.topic == "events.dlq" && letter.key?.count == 4_096 && letter.value == output.value)
        #expect(text(letter, "dlq-reason") == "too_large" && text(letter, "dlq-topic") == "notifications.low")
        #expect(text(letter, "dlq-key-length") == "2000000" && text(letter, "traceparent") == "t")
    }

    /// Whatever becomes of an output, it is counted and is an error in the log; what repeats is summed up, and not swallowed.
    @Test func whatKafkaRefusesLeavesATrace() throws {
        var lines: [String] = []
        let log = Log(service: "s", instance: "i", level: .error, clock: { 0 }, ticks: { 0 }) {
            lines.append(String(decoding: $0, as: UTF8.self))
            return true
        }
        let metrics = Metrics()
        let refused = RefusedOutputs(deadLetters: "events.dlq", log: log, metrics: metrics)
        // Any will do: which one it was is only told.
        let error = try #require(throws: KafkaError.self) {
            _ = try KafkaInspector(KafkaSettings(brokers: "127.0.0.1:1", instanceID: "i")).topics(timeout: .milliseconds(10))
        }
        let output = OutgoingRecord(topic: "notifications.low", value: bytes(100_000))
        var rest = refused.replacement(for: output, error)
        var rounds = 1
        while let letter = rest {
            rest = refused.replacement(for: letter, error)
            rounds += 1
        }
        #expect(rounds == 3)
        for _ in 0..<20 { _ = refused.replacement(for: output, error) }
        log.sumUp(all: true)
        let text = String(decoding: metrics.render(), as: UTF8.self)
        for (outcome, count) in [("dead_letter", 21), ("cut", 1), ("lost", 1)] {
            #expect(text.contains("carillon_refused_outputs_total{outcome=\"\(outcome)\"} \(count)\n"))
        }
        #expect(lines.count == 11 && lines.allSatisfy { $0.contains(" error s#i message=\"Kafka refused a record for good\"") })
        #expect(lines[0].contains("outcome=dead_letter reason=\(error.name) bytes=100000"))
        #expect(lines[10].contains("repeated=13"))
    }
}
