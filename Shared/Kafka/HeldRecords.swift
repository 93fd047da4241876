/// Records that were read and not handed out yet, topic by topic, and the order in which a batch takes them. The backlog of one
/// topic does not delay the records of another. Pure.
struct HeldRecords {
    private struct TopicLine {
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

    private var lines: [TopicLine] = []
    /// Who is first in the next batch.
    private var turn = 0
    private(set) var count = 0

    init(topics: [String] = []) { lines = topics.map { TopicLine(topic: $0) } }

    var topics: Int { lines.count }

    func isEmpty(_ line: Int) -> Bool { lines[line].records.isEmpty }

    func forEach(_ body: (KafkaRecord) -> Void) {
        for line in lines { line.records.forEach(body) }
    }

    mutating func append(_ record: KafkaRecord, line: Int) {
        lines[line].records.append(record)
        count += 1
    }

    /// Takes back what a batch did not pass. It comes before all other records of its topic.
    mutating func putBack(_ rest: ArraySlice<KafkaRecord>) {
        if rest.isEmpty { return }
        var back = [[KafkaRecord]](repeating: [], count: lines.count)
        var line = 0
        for record in rest {
            if lines[line].topic != record.topic { line = lines.firstIndex { $0.topic == record.topic } ?? line }
            back[line].append(record)
        }
        for line in lines.indices where !back[line].isEmpty {
            lines[line].records.insert(contentsOf: back[line], at: 0)
            (lines[line].seen, lines[line].seenBytes) = (0, 0)
        }
        count += rest.count
    }

    /// A topic's records that wait for a batch and were not looked at, in order, within the bounds of looking ahead. What is put back
    /// is looked at once more.
    mutating func lookAhead(_ line: Int, more: (Int) -> KafkaRecord?) -> [KafkaRecord] {
        var ahead: [KafkaRecord] = []
        while lines[line].seen < Self.aheadRecords, lines[line].seenBytes < Self.aheadBytes {
            if lines[line].seen == lines[line].records.count {
                guard let record = more(line) else { break }
                append(record, line: line)
            }
            let record = lines[line].records[lines[line].seen]
            lines[line].seen += 1
            lines[line].seenBytes &+= record.size
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
        var open = lines.indices.map { ($0 + turn) % lines.count }
        turn = lines.isEmpty ? 0 : (turn + 1) % lines.count
        while !open.isEmpty, batch.count < limit, size < bytes {
            open.removeAll { line in
                let end = size &+ run.bytes
                for _ in 0..<run.records where size < end {
                    if batch.count >= limit || size >= bytes { return false }
                    guard let record = lines[line].next() ?? more(line) else { return true }
                    size &+= record.size
                    batch.append(record)
                }
                return false
            }
            run = (run.records &* 2, run.bytes &* 2)
        }
        for line in lines.indices where lines[line].taken > 0 { lines[line].removeTaken() }
        count = lines.reduce(0) { $0 + $1.records.count }
        return batch
    }
}
