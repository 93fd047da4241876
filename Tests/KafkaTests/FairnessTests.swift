import TestSupport
import Testing

@testable import Kafka

/// A backlog of one topic delays no other, and one transaction writes no more than it may.
@Suite(.blocking) struct FairnessTests {
    @Test func aRecordOfAnotherTopicIsInTheNextBatchHoweverLongTheBacklog() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try broker.createTopic("events.payment")
        try await produce(settings, (0..<20_000).map { OutgoingRecord(topic: "events.campaign", value: bytes("\($0)")) })
        let bench = try await Bench {
            let echo = try Echo($0, settings, topics: [#"^events\..*"#], output: "out")
            echo.holdsBatches = true
            return echo
        }
        // Of a full batch of the campaign.
        #expect(await bench.until { ($0.batches.last?.records.count ?? 0) >= 4_000 || $0.takesSmall() })
        try await produce(settings, [OutgoingRecord(topic: "events.payment", value: bytes("payment"))])
        #expect(await bench.until { $0.pipeline.heldRecords >= 2 })
        // It ends after a short step; of what it leaves, no more than one run stands before the payment.
        await bench.ask { $0.batches.removeLast().finish(through: 5) }
        #expect(await bench.until { !$0.batches.isEmpty })
        let place = await bench.ask { $0.batches[0].records.firstIndex { $0.topic == "events.payment" } }
        #expect(place.map { $0 <= HeldRecords.runRecords } == true)
        await bench.ask { $0.batches.removeLast().finish() }
        await stop(bench)
    }

    @Test func oneTransactionWritesNoMoreThanItsBound() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, [OutgoingRecord(topic: "in", value: bytes("one"))])
        let bench = try await Bench {
            let echo = try Echo(
                $0, settings, topics: ["in"], output: "out",
                limits: PipelineLimits(transactionRecords: 10, transactionBytes: 1 << 20))
            echo.holdsBatches = true
            return echo
        }
        #expect(await bench.until { !$0.batches.isEmpty })
        await bench.ask { echo in
            echo.batches.removeLast().finish((0..<35).map { OutgoingRecord(topic: "out", key: [1], value: bytes("\($0)")) })
        }
        #expect(try await holds(settings, "out", 35))
        #expect(try read(settings, "out").map { text($0.value) } == (0..<35).map { "\($0)" })
        await stop(bench)
    }
}

extension Echo {
    /// Passes batches that came before the backlog was there whole.
    func takesSmall() -> Bool {
        if let batch = batches.last, batch.records.count < 4_000 {
            batches.removeLast()
            batch.finish(commit: .plain)
        }
        return false
    }
}
