internal import CRDKafka

/// Writes records into one client's queue. It keeps a handle for each topic. To be used on one thread at a time.
final class RecordWriter {
    private let client: KafkaClient
    private var topics: [String: OpaquePointer] = [:]
    private var last: (name: String, handle: OpaquePointer)?

    init(_ client: KafkaClient) {
        self.client = client
    }

    /// Queues a copy of the record. Its delivery report brings `tag` back. The call does not block: a full queue is an error.
    func write(_ record: OutgoingRecord, tag: Int) -> rd_kafka_resp_err_t {
        guard let topic = handle(record.topic) else { return rd_kafka_last_error() }
        let headers = record.headers.isEmpty ? nil : makeHeaders(record.headers)
        let opaque = UnsafeMutableRawPointer(bitPattern: tag)
        let code = record.value.withUnsafeBytes { bytes in
            let value = (address: record.isTombstone ? nil : address(bytes), count: bytes.count)
            guard let key = record.key else {
                return carillon_kafka_produce(
                    client.raw, topic, nil, 0, value.address, value.count, headers, opaque)
            }
            return key.withUnsafeBytes { key in
                carillon_kafka_produce(
                    client.raw, topic, address(key), key.count, value.address, value.count, headers, opaque)
            }
        }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR, let headers { rd_kafka_headers_destroy(headers) }
        return code
    }

    /// To be called before the client is destroyed.
    func close() {
        for topic in topics.values { rd_kafka_topic_destroy(topic) }
        topics = [:]
        last = nil
    }

    private func handle(_ name: String) -> OpaquePointer? {
        if let last, last.name == name { return last.handle }
        if let known = topics[name] {
            last = (name, known)
            return known
        }
        guard let made = rd_kafka_topic_new(client.raw, name, nil) else { return nil }
        topics[name] = made
        last = (name, made)
        return made
    }

    private func makeHeaders(_ headers: [KafkaHeader]) -> OpaquePointer? {
        guard let list = rd_kafka_headers_new(headers.count) else { return nil }
        for header in headers {
            var name = header.name
            let length = name.utf8.count
            name.withUTF8 { name in
                name.withMemoryRebound(to: CChar.self) { name in
                    guard let value = header.value else {
                        _ = rd_kafka_header_add(list, name.baseAddress, length, nil, 0)
                        return
                    }
                    value.withUnsafeBytes { value in
                        _ = rd_kafka_header_add(list, name.baseAddress, length, address(value), value.count)
                    }
                }
            }
        }
        return list
    }
}

/// An address for bytes that may be empty. An empty array has none, and nil would mean that the bytes are missing.
private func address(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawPointer? {
    bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)
}
