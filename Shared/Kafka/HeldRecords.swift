/// Records that were read and not handed out yet, and where each of their partitions goes on afterwards.
struct HeldRecords {
    private(set) var records: [KafkaRecord] = []
    private(set) var offsets: [PartitionOffset] = []
    private(set) var bytes = 0
    private var slot = 0

    var isEmpty: Bool { records.isEmpty }
    var count: Int { records.count }

    /// In the order they were read: within a partition, offsets only grow.
    mutating func append(_ record: KafkaRecord) {
        if slot >= offsets.count || offsets[slot].partition != record.partition || offsets[slot].topic != record.topic {
            // Records come in runs of one partition, so this search is rare.
            slot = offsets.firstIndex { $0.partition == record.partition && $0.topic == record.topic } ?? offsets.count
            if slot == offsets.count {
                offsets.append(PartitionOffset(topic: record.topic, partition: record.partition, next: 0))
            }
        }
        offsets[slot].next = record.offset &+ 1
        bytes &+= record.size
        records.append(record)
    }

    /// All of it; nothing stays.
    mutating func take() -> (records: [KafkaRecord], offsets: [PartitionOffset]) {
        let taken = (records, offsets)
        self = HeldRecords()
        return taken
    }
}
