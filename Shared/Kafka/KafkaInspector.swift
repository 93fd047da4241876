internal import CRDKafka

/// A topic as the broker describes it.
public struct KafkaTopic: Equatable, Sendable {
    public let name: String
    public let partitions: [Int32]
    /// Replicas of the partition that has the fewest.
    public let replicas: Int
    /// Replicas in sync, of the partition that has the fewest.
    public let inSync: Int

    public init(name: String, partitions: [Int32], replicas: Int = 1, inSync: Int = 1) {
        self.name = name
        self.partitions = partitions
        self.replicas = replicas
        self.inSync = inSync
    }
}

/// Looks at topics without joining a group, for an operator's tool. Every call blocks its thread: never call it on a loop.
public final class KafkaInspector {
    let client: KafkaClient

    /// - Throws: a property that librdkafka does not take.
    public init(_ settings: KafkaSettings) throws(KafkaError) {
        client = try KafkaClient(RD_KAFKA_CONSUMER, .inspector(settings))
    }

    deinit {
        rd_kafka_consumer_close(client.raw)
        client.destroy()
    }

    /// All topics that this user may see, with full names, sorted.
    public func topics(timeout: Duration = .seconds(5)) throws(KafkaError) -> [KafkaTopic] {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(client.raw, 1, nil, &metadata, milliseconds(timeout))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw client.failure(code) }
        defer { rd_kafka_metadata_destroy(metadata) }
        var topics: [KafkaTopic] = []
        for index in 0..<Int(metadata.pointee.topic_cnt) {
            let topic = metadata.pointee.topics[index]
            guard let name = topic.topic else { continue }
            let partitions = (0..<Int(topic.partition_cnt)).map { topic.partitions[$0] }
            topics.append(
                KafkaTopic(
                    name: String(cString: name), partitions: partitions.map(\.id).sorted(),
                    replicas: partitions.map { Int($0.replica_cnt) }.min() ?? 0,
                    inSync: partitions.map { Int($0.isr_cnt) }.min() ?? 0))
        }
        return topics.sorted { $0.name < $1.name }
    }

    /// The offsets of a partition's first record and of the one that will be written next.
    public func watermarks(
        topic: String, partition: Int32, timeout: Duration = .seconds(5)
    ) throws(KafkaError) -> (low: Int64, high: Int64) {
        var (low, high): (Int64, Int64) = (0, 0)
        let deadline = ContinuousClock.now + timeout
        while true {
            let code = rd_kafka_query_watermark_offsets(
                client.raw, topic, partition, &low, &high, milliseconds(timeout))
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return (low, high) }
            let error = KafkaError(code)
            // A topic that was just made has no leader for a moment, or its leader does not know it yet.
            guard error.lacksLeader, ContinuousClock.now < deadline else { throw error }
            rd_kafka_poll(client.raw, 100)
        }
    }

    /// Reads the committed records of a topic, from `from` in each partition to its present end, partition by partition in
    /// order, until `body` answers false. `timeout` is how long it waits for one record.
    public func read(
        topic: String, partitions: [Int32], from: Int64 = 0, timeout: Duration = .seconds(5),
        _ body: (KafkaRecord) -> Bool
    ) throws(KafkaError) {
        for partition in partitions {
            let (low, high) = try watermarks(topic: topic, partition: partition, timeout: timeout)
            let start = max(low, from)
            if start >= high { continue }
            guard try read(topic, partition, start, until: high, timeout, body) else { return }
        }
    }

    private func read(
        _ topic: String, _ partition: Int32, _ start: Int64, until end: Int64, _ timeout: Duration,
        _ body: (KafkaRecord) -> Bool
    ) throws(KafkaError) -> Bool {
        let assignment = PartitionList([PartitionOffset(topic: topic, partition: partition, next: start)])
        let code = rd_kafka_assign(client.raw, assignment.raw)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        defer { rd_kafka_assign(client.raw, nil) }
        while true {
            guard let message = rd_kafka_consumer_poll(client.raw, milliseconds(timeout)) else {
                throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT)
            }
            defer { rd_kafka_message_destroy(message) }
            switch message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR: break
            // Markers of transactions move the end, and they are not records.
            case RD_KAFKA_RESP_ERR__PARTITION_EOF: return true
            case let failure: throw KafkaError(failure)
            }
            let record = KafkaRecord(message, topic: topic)
            if record.offset >= end { return true }
            if !body(record) { return false }
            if record.offset &+ 1 >= end { return true }
        }
    }
}

func milliseconds(_ duration: Duration) -> Int32 {
    let (seconds, attoseconds) = duration.components
    return Int32(clamping: seconds &* 1_000 &+ attoseconds / 1_000_000_000_000_000)
}
