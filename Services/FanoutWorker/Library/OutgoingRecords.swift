import EventLoop
import Kafka
import Models

extension OutgoingRecord {
    /// A notification for the push service, under the trace of the record that it came with.
    static func push(
        _ record: NotificationRecord, to person: PersonID, _ position: StreamPosition, topic: String, headers: [KafkaHeader]
    ) -> OutgoingRecord {
        var writer = JSONWriter(capacity: record.notification.count + 256)
        PushRecord.encode(
            &writer, person: person, position: position, reason: .offline, accepted: record.accepted, source: record.bytes,
            notification: record.notification)
        return OutgoingRecord(
            topic: topic, key: Array(person.text.utf8), value: writer.take(), headers: headers.filter { $0.name == "traceparent" })
    }

    /// A record that was given up, as it came, with why and where from.
    static func deadLetter(_ record: KafkaRecord, _ error: DeadLetter, attempts: Int, topic: String) -> OutgoingRecord {
        let headers = error.headers(
            original: record.headers.map { ($0.name, $0.value) },
            origin: RecordOrigin(topic: record.topic, partition: record.partition, offset: record.offset), attempts: attempts,
            at: EventLoop.wallClock())
        return OutgoingRecord(
            topic: topic, key: record.key, value: record.value, headers: headers.map { KafkaHeader($0.name, $0.value) })
    }

    /// What stands in the dead letters for an output that Kafka does not take: its beginning. Nil for a dead letter itself.
    static func refused(_ record: OutgoingRecord, topic: String) -> OutgoingRecord? {
        guard record.topic != topic else { return nil }
        let headers = DeadLetter(.tooLarge, "Kafka does not take the record").headers(
            original: record.headers.map { ($0.name, $0.value) },
            origin: RecordOrigin(topic: record.topic, partition: -1, offset: -1), attempts: 1, at: EventLoop.wallClock())
        return OutgoingRecord(
            topic: topic, key: record.key, value: Array(record.value.prefix(DeadLetter.keptBytes)),
            headers: headers.map { KafkaHeader($0.name, $0.value) } + [KafkaHeader("dlq-length", String(record.value.count))])
    }
}
