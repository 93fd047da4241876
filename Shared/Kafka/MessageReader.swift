internal import CRDKafka

extension KafkaRecord {
    /// Copies a message that was read. The message stays the caller's.
    init(_ message: UnsafeMutablePointer<rd_kafka_message_t>, topic: String) {
        var timestampType = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let timestamp = rd_kafka_message_timestamp(message, &timestampType)
        self.init(
            topic: topic, partition: message.pointee.partition, offset: message.pointee.offset,
            key: message.pointee.key.map { copy($0, message.pointee.key_len) },
            value: message.pointee.payload.map { copy($0, message.pointee.len) } ?? [],
            headers: readHeaders(message),
            timestamp: timestampType == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp)
        isTombstone = message.pointee.payload == nil
    }
}

/// Bytes of a message that was written: value, key and headers.
func recordSize(_ message: UnsafePointer<rd_kafka_message_t>) -> Int {
    let headers = readHeaders(message).reduce(0) { $0 &+ $1.size }
    return message.pointee.len &+ message.pointee.key_len &+ headers
}

private func readHeaders(_ message: UnsafePointer<rd_kafka_message_t>) -> [KafkaHeader] {
    var list: OpaquePointer?
    guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return [] }
    let count = rd_kafka_header_cnt(list)
    var headers: [KafkaHeader] = []
    headers.reserveCapacity(count)
    for index in 0..<count {
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var length = 0
        guard rd_kafka_header_get_all(list, index, &name, &value, &length) == RD_KAFKA_RESP_ERR_NO_ERROR, let name
        else { break }
        headers.append(KafkaHeader(String(cString: name), value.map { copy($0, length) }))
    }
    return headers
}

private func copy(_ bytes: UnsafeRawPointer, _ count: Int) -> [UInt8] {
    [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
}
