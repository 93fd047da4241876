import Foundation
import Kafka
import Models
import TestSupport
import Testing

@testable import Carillonctl

@Suite(.blocking) struct KafkaCommandTests {
    private func events(_ broker: EmbeddedBroker, _ topic: String) throws -> [KafkaRecord] {
        let inspector = try KafkaInspector(KafkaSettings(brokers: broker.brokers, instanceID: "test"))
        let partitions = try inspector.topics().first { $0.name == topic }?.partitions ?? []
        var records: [KafkaRecord] = []
        try inspector.read(topic: topic, partitions: partitions) { record in
            records.append(record)
            return true
        }
        return records
    }

    @Test func producesWhatTheServicesRead() async throws {
        let broker = try EmbeddedBroker()
        let environment = ["KAFKA_BROKERS": broker.brokers]
        let first = await carillonctl(
            "produce", "--type", "message.direct", "--user", "bob", "--title", "Say \"hi\"", "--body", "Line\nbreak",
            "--actor", "alice", "--priority", "high", "--ttl", "1h", "--data", "{\"x\":[1]}", "--id", "e-1",
            environment: environment)
        #expect(first.status == 0, "\(first.written.error)")
        #expect(first.written.out == "produced events.message key=bob id=e-1\n")
        let records = try events(broker, "events.message")
        #expect(records.count == 1)
        let record = try #require(records.first)
        #expect(record.key == Array("bob".utf8))
        let event = try CloudEvent.read(value: record.value, headers: record.headers.map { ($0.name, $0.value ?? []) })
        let data = try EventData.read(event)
        #expect(event.id == "e-1" && event.source == "carillonctl" && event.type == "message.direct")
        #expect(data.ttlSeconds == 3600 && data.actor?.text == "alice" && data.priority == .high)
        #expect(data.title.map { String(decoding: data.bytes[$0], as: UTF8.self) } == "\"Say \\\"hi\\\"\"")
    }

    @Test func readsAFileAndRefusesWhatCannotBeDelivered() async throws {
        let broker = try EmbeddedBroker()
        let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: file) }
        let text = #"{"specversion":"1.0","id":"e2","source":"/shop","type":"marketing.offer","data":{"audience":{"channel":"all"}}}"#
        try Data(text.utf8).write(to: file)
        let environment = ["KAFKA_BROKERS": broker.brokers, "NAMESPACE": "ns"]
        let good = await carillonctl("produce", file.path, environment: environment)
        #expect(good.written.out == "produced ns.events.marketing key=channel:all id=e2\n", "\(good.written.error)")
        try Data("{\"specversion\":".utf8).write(to: file)
        let bad = await carillonctl("produce", file.path, environment: environment)
        #expect(bad.status == 65 && bad.written.error.contains("not_json"))
        #expect(await carillonctl("produce", file.path, "--unchecked", environment: environment).status == 0)
        #expect(try events(broker, "ns.events.unchecked").count == 1)
        let reserved = await carillonctl("produce", "--type", "dlq.x", "--user", "a", environment: environment)
        #expect(reserved.status == 65)
    }

    @Test func silentBrokerIsAnError() async {
        let (status, written) = await carillonctl(
            "produce", "--type", "a.b", "--user", "x", "--timeout", "1s", environment: ["KAFKA_BROKERS": "127.0.0.1:1"])
        #expect(status == 1)
        #expect(written.error.contains("did not take it"))
    }

    @Test func deadLettersAreListedAndShown() async throws {
        let broker = try EmbeddedBroker()
        try broker.createTopic("events.dlq", partitions: 1)
        let settings = KafkaSettings(brokers: broker.brokers, instanceID: "test")
        let environment = ["KAFKA_BROKERS": broker.brokers]
        #expect(await carillonctl("dlq", "list", environment: environment).written.error.contains("no dead letters"))
        for (offset, reason) in [DeadLetterReason.notJSON, .unknownType].enumerated() {
            let letter = DeadLetter(reason, "what was wrong")
            let headers = letter.headers(
                original: [("content-type", Array("text/plain".utf8))],
                origin: RecordOrigin(topic: "events.social", partition: 2, offset: Int64(40 + offset)), attempts: 1,
                at: 1_795_258_800_000)
            let record = OutgoingRecord(
                topic: "events.dlq", key: Array("bob".utf8), value: Array("a secret".utf8),
                headers: headers.map { KafkaHeader($0.name, $0.value) })
            try await Sender.once(record, settings)
        }
        let list = await carillonctl("dlq", "list", environment: environment)
        #expect(list.written.lines.count == 2)
        #expect(
            list.written.out.contains(
                "events.dlq/0/1  2026-11-21T11:00:00.000Z  unknown_type  from events.social/2/41  attempts 1  what was wrong\n"))
        #expect(!list.written.out.contains("secret"))
        let one = await carillonctl("dlq", "list", "--reason", "not_json", environment: environment)
        #expect(one.written.lines.count == 1 && one.written.out.hasPrefix("events.dlq/0/0 "))

        let shown = await carillonctl("dlq", "show", "events.dlq/0/1", environment: environment)
        #expect(shown.status == 0 && shown.written.out.contains("header    dlq-offset: 41\n"))
        #expect(shown.written.out.contains("size      8 bytes\n") && !shown.written.out.contains("secret"))
        let whole = await carillonctl("dlq", "show", "events.dlq/0/1", "--body", environment: environment)
        #expect(whole.written.out.hasSuffix("\na secret\n"))
        let missing = await carillonctl("dlq", "show", "events.dlq/0/7", environment: environment)
        #expect(missing.status == 1 && missing.written.error.contains("no record at events.dlq/0/7"))
        #expect(await carillonctl("dlq", "show", "nothing/0/0", environment: environment).status == 1)
    }
}
