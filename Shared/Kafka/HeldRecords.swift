/// Records that were read and not handed out yet, topic by topic, and the order in which a batch takes them. The backlog of one
/// topic does not delay the records of another. Pure.
struct HeldRecords {
    private struct Lane {
        let topic: String
        /// In the order in which they were read. Within a partition, offsets only grow.
        var records: [KafkaRecord] = []
        /// How many of them a batch has taken.
        var taken = 0
        /// How many, from the first on, were looked at ahead of their batch, and their bytes.
        var seen = 0
        var seenBytes = 0

        mutating func next() -> KafkaRecord? {
            guard taken < records.count else { return nil }
            defer { taken += 1 }
            return records[taken]
        }

        mutating func removeTaken() {
            records.removeFirst(taken)
            seen = max(0, seen - taken)
            taken = 0
            seenBytes = records[..<seen].reduce(0) { $0 &+ $1.size }
        }
    }

    /// What a topic has of a batch's first run, in records and in bytes. Each further run is twice as long.
    static let runRecords = 64
    static let runBytes = 16 << 10
    /// So many records of each topic are looked at ahead of their batch. One more record may go beyond the bytes.
    static let aheadRecords = 64
    static let aheadBytes = 64 << 10

    private var lanes: [Lane] = []
    /// Which topic is first in the next batch.
    private var turn = 0
    private(set) var count = 0

    init(topics: [String] = []) { lanes = topics.map { Lane(topic: $0) } }

    var topics: Int { lanes.count }

    func isEmpty(_ lane: Int) -> Bool { lanes[lane].records.isEmpty }

    func forEach(_ body: (KafkaRecord) -> Void) {
        for lane in lanes { lane.records.forEach(body) }
    }

    mutating func append(_ record: KafkaRecord, lane: Int) {
        lanes[lane].records.append(record)
        count += 1
    }

    /// Takes back what a batch did not pass. It comes before all other records of its topic.
    mutating func putBack(_ rest: ArraySlice<KafkaRecord>) {
        if rest.isEmpty { return }
        var back = [[KafkaRecord]](repeating: [], count: lanes.count)
        var lane = 0
        for record in rest {
            if lanes[lane].topic != record.topic { lane = lanes.firstIndex { $0.topic == record.topic } ?? lane }
            back[lane].append(record)
        }
        for lane in lanes.indices where !back[lane].isEmpty {
            lanes[lane].records.insert(contentsOf: back[lane], at: 0)
            (lanes[lane].seen, lanes[lane].seenBytes) = (0, 0)
        }
        count += rest.count
    }

    /// The records of a topic that wait for a batch and were not looked at, in order, within the bounds of looking ahead.
    /// Records that were put back are looked at once more.
    mutating func lookAhead(_ lane: Int, more: (Int) -> KafkaRecord?) -> [KafkaRecord] {
        var ahead: [KafkaRecord] = []
        while lanes[lane].seen < Self.aheadRecords, lanes[lane].seenBytes < Self.aheadBytes {
            if lanes[lane].seen == lanes[lane].records.count {
                guard let record = more(lane) else { break }
                append(record, lane: lane)
            }
            let record = lanes[lane].records[lanes[lane].seen]
            lanes[lane].seen += 1
            lanes[lane].seenBytes &+= record.size
            ahead.append(record)
        }
        return ahead
    }

    /// The records of a batch: a run of each topic, then a run twice as long of each, and so on, until there are `limit` records or
    /// more than `bytes`. So a topic with few records is near the front, and a topic with many comes in long runs.
    /// - Parameter more: the next record of a topic that is not held yet.
    mutating func nextBatch(_ limit: Int, bytes: Int, more: (Int) -> KafkaRecord?) -> [KafkaRecord] {
        var batch: [KafkaRecord] = []
        var size = 0
        var run = (records: Self.runRecords, bytes: Self.runBytes)
        var open = lanes.indices.map { ($0 + turn) % lanes.count }
        turn = lanes.isEmpty ? 0 : (turn + 1) % lanes.count
        while !open.isEmpty, batch.count < limit, size < bytes {
            open.removeAll { lane in
                let end = size &+ run.bytes
                for _ in 0..<run.records where size < end {
                    if batch.count >= limit || size >= bytes { return false }
                    guard let record = lanes[lane].next() ?? more(lane) else { return true }
                    size &+= record.size
                    batch.append(record)
                }
                return false
            }
            run = (run.records &* 2, run.bytes &* 2)
        }
        for lane in lanes.indices where lanes[lane].taken > 0 { lanes[lane].removeTaken() }
        count = lanes.reduce(0) { $0 + $1.records.count }
        return batch
    }
}
