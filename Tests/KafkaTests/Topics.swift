import EventLoop
import Kafka
import Testing

/// Writes records and waits until the broker has them all.
func produce(_ settings: KafkaSettings, _ records: [OutgoingRecord]) async throws {
    let bench = try await Bench { try KafkaProducer(loop: $0, settings: settings, limit: 1_000_000) }
    await bench.wait { producer, done in
        var left = records.count
        for record in records {
            producer.produce(record) { error in
                #expect(error == nil)
                left -= 1
                if left == 0 { done() }
            }
        }
    }
    await bench.wait { producer, done in producer.close { done() } }
    bench.end()
}

/// All committed records of a topic.
func read(_ settings: KafkaSettings, _ topic: String) throws -> [KafkaRecord] {
    let inspector = try KafkaInspector(settings)
    var records: [KafkaRecord] = []
    for found in try inspector.topics() where found.name == settings.topic(topic) {
        try inspector.read(topic: found.name, partitions: found.partitions) {
            records.append($0)
            return true
        }
    }
    return records
}

/// Reads until the topic holds that many committed records; false after 20 s. Not on a loop: it blocks.
func holds(_ settings: KafkaSettings, _ topic: String, _ count: Int) async throws -> Bool {
    for _ in 0..<100 {
        if let records = try? read(settings, topic), records.count >= count { return true }
        try await Task.sleep(for: .milliseconds(200))
    }
    return false
}

/// Records of `keys` keys, in order within each.
func records(_ settings: KafkaSettings, _ range: Range<Int>, keys: Int = 16) -> [OutgoingRecord] {
    range.map {
        OutgoingRecord(topic: settings.topic("in"), key: bytes("k\($0 % keys)"), value: bytes("\($0)"))
    }
}

/// Each once, and each key's in order, as a reader of committed records sees it. `repeated`: how many, of one batch, may stand twice.
func expectExactlyOnce(_ settings: KafkaSettings, _ count: Int, repeated: Int = 0) throws {
    let out = try read(settings, "out")
    #expect(out.count >= count && out.count <= count + repeated)
    var last: [[UInt8]: Int] = [:]
    var seen: Set<Int> = []
    var disorder = 0
    for record in out {
        let number = Int(text(record.value)) ?? -1
        guard seen.insert(number).inserted else { continue }
        if let before = last[record.key ?? []], before >= number { disorder += 1 }
        last[record.key ?? []] = number
    }
    #expect(disorder == 0)
    #expect(seen.count == count)
}

func stop(_ bench: Bench<Echo>) async {
    await bench.wait { echo, done in echo.pipeline.stop { done() } }
    bench.end()
}
