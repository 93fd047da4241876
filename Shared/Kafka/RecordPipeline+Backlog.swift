internal import EventLoop

extension RecordPipeline {
    /// How far each partition of this member is behind, sorted by topic and number. Partitions of which nothing is known yet
    /// are missing.
    public var lag: [PartitionLag] {
        let waiting = firstWaiting
        return progress.partitions.compactMap { partition in
            let lag = progress.lag(partition, waiting: waiting[partition]?.offset)
            return lag.map { PartitionLag(topic: partition.topic, partition: partition.number, records: $0) }
        }.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
    }

    /// For each topic, when its oldest record was written that was read and has not passed. In ms since 1970.
    public var oldestWaiting: [String: Int64] {
        var oldest: [String: Int64] = [:]
        for (partition, first) in firstWaiting where first.timestamp >= 0 {
            oldest[partition.topic] = min(oldest[partition.topic] ?? .max, first.timestamp)
        }
        return oldest
    }

    /// How often a topic of this member was deleted and made again, as far as this member has seen.
    public var restarts: Int { progress.restarts }

    /// For how many ms the outputs of the service have been on their way to Kafka. 0 if none are.
    public var writingTime: UInt64 { writingSince.map { loop.now - $0 } ?? 0 }

    /// The first record of each partition that was read and has not passed. It looks at all records, so it is meant for a scrape.
    private var firstWaiting: [PartitionProgress.Partition: (offset: Int64, timestamp: Int64)] {
        var first: [PartitionProgress.Partition: (offset: Int64, timestamp: Int64)] = [:]
        forEachWaiting { record in
            let partition = PartitionProgress.Partition(topic: record.topic, number: record.partition)
            if let known = first[partition], known.offset <= record.offset { return }
            first[partition] = (record.offset, record.timestamp)
        }
        return first
    }

    private func forEachWaiting(_ body: (KafkaRecord) -> Void) {
        if let batch { batch.records[batch.passed..<batch.end].forEach(body) }
        held.forEach(body)
    }
}
