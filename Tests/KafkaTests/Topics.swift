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
