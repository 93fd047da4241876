internal import CRDKafka

/// An owned `rd_kafka_topic_partition_list_t`.
struct PartitionList: ~Copyable {
    let raw: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    init(_ offsets: [PartitionOffset]) {
        raw = rd_kafka_topic_partition_list_new(Int32(clamping: offsets.count))
        for offset in offsets {
            rd_kafka_topic_partition_list_add(raw, offset.topic, offset.partition)?.pointee.offset = offset.next
        }
    }

    init(topics: [String]) {
        raw = rd_kafka_topic_partition_list_new(Int32(clamping: topics.count))
        for topic in topics { rd_kafka_topic_partition_list_add(raw, topic, RD_KAFKA_PARTITION_UA) }
    }

    deinit { rd_kafka_topic_partition_list_destroy(raw) }

    /// The entries of the list, with the offsets as librdkafka wrote them. A negative offset is none.
    var offsets: [PartitionOffset] { PartitionList.offsets(raw) }

    static func offsets(_ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> [PartitionOffset] {
        (0..<Int(list.pointee.cnt)).compactMap { index in
            let element = list.pointee.elems[index]
            guard let topic = element.topic else { return nil }
            return PartitionOffset(topic: String(cString: topic), partition: element.partition, next: element.offset)
        }
    }
}

/// The member and the generation of the group that an assignment came with. A broker checks a transaction's offsets against
/// them. They are taken when the assignment comes, and not at the commit. So the offsets of a former assignment never pass
/// under a later one.
final class GroupMembership: @unchecked Sendable {
    // @unchecked: immutable, read by librdkafka from any thread.
    let raw: OpaquePointer

    /// `nil` if the consumer is no member at this moment. A broker does not check offsets that have no generation.
    init?(consumer: KafkaClient) {
        guard let raw = rd_kafka_consumer_group_metadata(consumer.raw) else { return nil }
        self.raw = raw
        if generation < 0 { return nil }
    }

    /// Read from the serialized form, because there is no other way: "CGMDv2:", and then the generation as a native Int32.
    var generation: Int32 {
        var buffer: UnsafeMutableRawPointer?
        var size = 0
        if let failure = rd_kafka_consumer_group_metadata_write(raw, &buffer, &size) {
            rd_kafka_error_destroy(failure)
            return -1
        }
        guard let buffer else { return -1 }
        defer { rd_kafka_mem_free(nil, buffer) }
        let magic = Array("CGMDv2:".utf8)
        guard size >= magic.count + 4, UnsafeRawBufferPointer(start: buffer, count: magic.count).elementsEqual(magic)
        else { return 0 }
        return buffer.loadUnaligned(fromByteOffset: magic.count, as: Int32.self)
    }

    deinit { rd_kafka_consumer_group_metadata_destroy(raw) }
}
