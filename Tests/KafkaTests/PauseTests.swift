import Testing

@testable import Kafka

/// Partitions are paused while a service does not take its batches; no pause may outlast its reason.
@Suite struct PauseTests {
    /// librdkafka can drop a resume that meets a rebalance. The partitions are then paused, and nobody knows.
    @Test func aResumeThatWasLostIsMadeGoodByTheNextAssignment() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        let values = (0..<400).map { bytes("v\($0)") }
        try await produce(settings, values[..<300].map { OutgoingRecord(topic: "in", value: $0) })
        let first = try await Bench {
            let echo = try Echo($0, settings, topics: ["in"], output: "out", limits: PipelineLimits(records: 100))
            echo.holdsBatches = true
            return echo
        }
        #expect(await first.until { $0.pipeline.isReadingPaused })
        await first.ask {
            $0.holdsBatches = false
            $0.answer()
        }
        #expect(await first.until { $0.seen.count >= 300 })
        await first.ask { $0.pipeline.consumer.pause() }
        try await produce(settings, values[300...].map { OutgoingRecord(topic: "in", value: $0) })

        // Another member comes and goes: all partitions are given anew.
        let second = try await Bench { try Echo($0, .mock(broker, instance: "two"), topics: ["in"], output: "out") }
        #expect(await second.until(60) { !$0.notes.isEmpty })
        await second.wait { echo, done in echo.pipeline.stop { done() } }
        let taken = await second.ask { Set($0.seen) }
        #expect(await first.until(60) { Set($0.seen).union(taken).count == 400 })
        #expect(taken.count < 100)
        await first.wait { echo, done in echo.pipeline.stop { done() } }
        first.end()
        second.end()
    }
}
