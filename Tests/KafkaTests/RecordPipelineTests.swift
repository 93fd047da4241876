import EventLoop
import Kafka
import Testing

/// A service that answers each record with one output.
final class Echo {
    let pipeline: RecordPipeline
    var seen: [String] = []
    var states: [BrokerState] = []
    var notes: [String] = []
    var batches: [RecordBatch] = []
    /// Batches wait in `batches` instead of being answered.
    var holdsBatches = false
    private let output: String

    init(
        _ loop: EventLoop, _ settings: KafkaSettings, topics: [String], output: String, excluding: [String] = [],
        limits: PipelineLimits = PipelineLimits()
    ) throws {
        self.output = settings.topic(output)
        pipeline = try RecordPipeline(
            loop: loop, settings: settings, service: "echo", topics: topics, excluding: excluding, limits: limits)
        pipeline.onBatch = { [unowned self] batch in
            self.batches.append(batch)
            if !self.holdsBatches { self.answer() }
        }
        pipeline.onState = { [unowned self] in self.states.append($0) }
        pipeline.onNote = { [unowned self] in self.notes.append($0) }
        try pipeline.start()
    }

    func answer() {
        guard !batches.isEmpty else { return }
        let batch = batches.removeFirst()
        guard batch.isCurrent else { return }
        seen += batch.records.map { text($0.value) }
        batch.finish(
            batch.records.map { OutgoingRecord(topic: output, key: $0.key, value: $0.value, headers: $0.headers) })
    }
}

@Suite(.serialized) struct RecordPipelineTests {
    private func produce(_ settings: KafkaSettings, _ records: [OutgoingRecord]) async throws {
        let bench = try await Bench { try KafkaProducer(loop: $0, settings: settings) }
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

    private func read(_ settings: KafkaSettings, _ topic: String) throws -> [KafkaRecord] {
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

    @Test func whatComesInGoesOutWithKeysAndHeaders() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(
            settings,
            (0..<100).map {
                OutgoingRecord(
                    topic: "in", key: bytes("k\($0 % 7)"), value: bytes("v\($0)"),
                    headers: [KafkaHeader("a", "1"), KafkaHeader("empty", "")])
            })
        let bench = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await bench.until { $0.seen.count == 100 })
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        let out = try read(settings, "out")
        #expect(Set(out.map { text($0.value) }) == Set((0..<100).map { "v\($0)" }))
        #expect(out.count == 100)
        #expect(out.allSatisfy { $0.headers == [KafkaHeader("a", "1"), KafkaHeader("empty", "")] })
        #expect(out.allSatisfy { $0.key != nil && $0.timestamp > 0 })
        #expect(await bench.ask { $0.states } == [.up])
        bench.end()
    }
}
