import TestSupport
import Testing

@testable import Kafka
@testable import Settings

/// What a member does when the group has forgotten it.
@Suite(.blocking) struct AssignmentTests {
    private func partitions(_ topics: String...) -> [PartitionOffset] {
        topics.flatMap { topic in (0..<2).map { PartitionOffset(topic: topic, partition: $0, next: 0) } }
    }

    @Test func aTopicThatWasLostAndDoesNotComeBackIsMissing() {
        var assignment = Assignment()
        // Without a loss, another member may have what is not there.
        let inOrder = [partitions("a", "b"), partitions("a"), partitions("a", "b")].map { assignment.give($0) }
        #expect(inOrder == [false, false, false])
        assignment.lose()
        let afterALoss = [partitions("a"), partitions("a")].map { assignment.give($0) }
        #expect(afterALoss == [true, false])
        assignment.lose()
        let whole = assignment.give(partitions("a", "b"))
        #expect(!whole)
    }

    /// The topic is away just while the group forms again. No refresh of the metadata falls between.
    @Test func aTopicThatIsAwayWhileTheGroupFormsIsReadAgain() async throws {
        let broker = try EmbeddedBroker()
        var settings = KafkaSettings.mock(broker)
        settings.properties = [KafkaProperty(name: "topic.metadata.refresh.interval.ms", value: "60000")]
        try await produce(settings, ["a", "b"].map { OutgoingRecord(topic: $0, value: bytes("first of \($0)")) })
        let member = settings
        let bench = try await Bench { try Echo($0, member, topics: ["a", "b"], output: "out") }
        #expect(await bench.until(60) { $0.seen.count == 2 && $0.notes.contains { $0.hasSuffix("this member 8 partitions") } })
        broker.hide("b")
        // A heartbeat is answered: unknown member.
        broker.refuse(12, with: [25])
        #expect(await bench.until(30) { $0.notes.contains { $0.hasSuffix("this member 4 partitions") } })
        broker.hide("b", false)
        try await produce(settings, [OutgoingRecord(topic: "b", value: bytes("second of b"))])
        #expect(await bench.until(30) { $0.seen.contains("second of b") })
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        bench.end()
    }
}
