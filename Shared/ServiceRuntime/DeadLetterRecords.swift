public import Kafka
public import Models

extension OutgoingRecord {
    /// A record that was given up, as it came, with why and where from.
    /// - Parameters:
    ///   - at: ms since 1970.
    ///   - cut: where only the record's beginning is kept: its whole length and its SHA-256 in hexadecimal.
    public static func deadLetter(
        _ record: KafkaRecord, _ fault: DeadLetter, attempts: Int, topic: String, at: Int64,
        cut: (length: Int, sha256: String)? = nil
    ) -> OutgoingRecord {
        let headers = fault.headers(
            original: record.headers.map { ($0.name, $0.value) },
            origin: RecordOrigin(topic: record.topic, partition: record.partition, offset: record.offset),
            attempts: attempts, at: at, cut: cut)
        return OutgoingRecord(
            topic: topic, key: record.key, value: cut == nil ? record.value : Array(record.value.prefix(DeadLetter.keptBytes)),
            headers: headers.map { KafkaHeader($0.name, $0.value) })
    }

    /// What stands in the dead letters for an output that Kafka does not take: its beginning. Nil for a dead letter itself.
    public static func refused(_ record: OutgoingRecord, topic: String, at: Int64) -> OutgoingRecord? {
        guard record.topic != topic else { return nil }
        let headers = DeadLetter(.tooLarge, "Kafka does not take the record").headers(
            original: record.headers.map { ($0.name, $0.value) },
            origin: RecordOrigin(topic: record.topic, partition: -1, offset: -1), attempts: 1, at: at)
        return OutgoingRecord(
            topic: topic, key: record.key, value: Array(record.value.prefix(DeadLetter.keptBytes)),
            headers: headers.map { KafkaHeader($0.name, $0.value) } + [KafkaHeader("dlq-length", String(record.value.count))])
    }
}
