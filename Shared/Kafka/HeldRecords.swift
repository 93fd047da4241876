/// Records that were read and not handed out yet, in the order they were read: within a partition, offsets only grow.
struct HeldRecords {
    private(set) var records: [KafkaRecord] = []
    private(set) var bytes = 0

    var isEmpty: Bool { records.isEmpty }
    var count: Int { records.count }

    mutating func append(_ record: KafkaRecord) {
        bytes &+= record.size
        records.append(record)
    }

    /// All of it; nothing stays.
    mutating func take() -> [KafkaRecord] {
        let taken = records
        self = HeldRecords()
        return taken
    }

    /// What a batch did not pass: it comes before all else.
    mutating func putBack(_ rest: ArraySlice<KafkaRecord>) {
        if rest.isEmpty { return }
        for record in rest { bytes &+= record.size }
        records.insert(contentsOf: rest, at: 0)
    }
}
