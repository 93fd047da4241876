/// How far a batch has passed: how many of its records, and where the group goes on in each of their partitions. Pure.
struct BatchPositions {
    private(set) var count = 0
    private(set) var offsets: [PartitionOffset] = []
    private var slot = 0

    /// Passes the first `count` records of the batch. A smaller count than before changes nothing.
    mutating func pass(_ records: [KafkaRecord], through count: Int) {
        while self.count < min(count, records.count) {
            pass(records[self.count])
            self.count += 1
        }
    }

    private mutating func pass(_ record: KafkaRecord) {
        if slot >= offsets.count || offsets[slot].partition != record.partition || offsets[slot].topic != record.topic {
            // Records come in runs of one partition, so this search is rare.
            slot = offsets.firstIndex { $0.partition == record.partition && $0.topic == record.topic } ?? offsets.count
            if slot == offsets.count {
                offsets.append(PartitionOffset(topic: record.topic, partition: record.partition, next: 0))
            }
        }
        offsets[slot].next = record.offset &+ 1
    }
}
