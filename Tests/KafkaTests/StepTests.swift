import Kafka
import TestSupport
import Testing

/// Batches that a service ends, or goes on with, by prefixes.
@Suite(.blocking) struct StepTests {
    @Test func whatABatchLeavesComesFirstInTheNext() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, (0..<50).map { OutgoingRecord(topic: "in", key: [1], value: bytes("\($0)")) })
        let bench = try await Bench {
            let echo = try Echo($0, settings, topics: ["in"], output: "out")
            echo.pipeline.onBatch = { batch in
                let taken = Array(batch.records.prefix(7))
                echo.seen += taken.map { text($0.value) }
                batch.finish(answers(taken), through: 7)
            }
            return echo
        }
        #expect(await bench.until { $0.seen.count >= 50 })
        #expect(await bench.ask { $0.seen } == (0..<50).map { "\($0)" })
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        #expect(try read(settings, "out").map { text($0.value) } == (0..<50).map { "\($0)" })
        bench.end()
    }

    @Test func aStepIsThereBeforeTheServiceGoesOn() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, (0..<10).map { OutgoingRecord(topic: "in", key: [1], value: bytes("\($0)")) })
        let bench = try await Bench {
            let echo = try Echo($0, settings, topics: ["in"], output: "out")
            echo.holdsBatches = true
            return echo
        }
        #expect(await bench.until { $0.batches.first?.records.count == 10 })
        await bench.wait { bench, done in
            let batch = bench.batches[0]
            // Outputs alone, then a prefix.
            batch.commit(answers(Array(batch.records[..<2])), through: 0) {
                batch.commit(answers(Array(batch.records[2..<4])), through: 4) { done() }
                // Before its answer, nothing else is taken.
                batch.finish(answers(batch.records))
            }
        }
        #expect(try await holds(settings, "out", 4))
        #expect(await bench.ask { $0.batches[0].isCurrent })
        await bench.ask { bench in bench.batches[0].finish(answers(Array(bench.batches[0].records[4...]))) }
        #expect(try await holds(settings, "out", 10))
        #expect(await bench.ask { $0.batches[0].isCurrent } == false)
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        #expect(try read(settings, "out").map { text($0.value) } == (0..<10).map { "\($0)" })
        bench.end()
    }
}

private func answers(_ records: [KafkaRecord]) -> [OutgoingRecord] {
    records.map { OutgoingRecord(topic: "out", key: $0.key, value: $0.value) }
}
