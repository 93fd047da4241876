import Kafka
import TestSupport
import Testing

/// Topics that go while a member reads them.
@Suite(.blocking, .enabled(if: KafkaBroker.home != nil, "set KAFKA_HOME to a Kafka distribution for these"))
struct DeletedTopicsTests {
    /// 52 partitions, 24 of them deleted and 16 others made while records flow; the member leaves at once all the same.
    @Test func aMemberLeavesSoonAfterTopicsOfItWereDeleted() async throws {
        let broker = try KafkaBroker()
        let settings = KafkaSettings(brokers: broker.brokers, instanceID: "one")
        let topics = (0..<13).map { "events.t\($0)" }
        try await produce(settings, records(topics))
        let bench = try await Bench { try Echo($0, settings, topics: [#"^events\..*"#], output: "out") }
        #expect(await bench.until(60) { $0.seen.count >= topics.count * Self.each })
        // What it has read ahead of these waits in their queues when they go.
        await bench.ask { $0.holdsBatches = true }
        try await produce(settings, records(topics))
        #expect(await bench.until { $0.pipeline.heldRecords > 0 })
        try broker.deleteTopics(Array(topics[..<6]))
        let made = (0..<4).map { "events.n\($0)" }
        try await produce(settings, records(made + topics[6...]))
        await bench.ask { echo in
            echo.holdsBatches = false
            while !echo.batches.isEmpty { echo.answer() }
        }
        #expect(await bench.until(60) { $0.notes.contains { $0.hasSuffix("this member 44 partitions") } })
        try await produce(settings, records(made + topics[6...]))
        let watch = Standstill()
        await stop(bench)
        // Of a patience of 60 s.
        #expect(watch.end() < 10)
    }

    private static let each = 50

    private func records(_ topics: [String]) -> [OutgoingRecord] {
        topics.flatMap { topic in (0..<Self.each).map { OutgoingRecord(topic: topic, key: bytes("k\($0)"), value: bytes("v\($0)")) } }
    }
}
