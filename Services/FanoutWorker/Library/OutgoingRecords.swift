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
}
