import TestSupport
import Testing

@testable import Kafka

/// A group that does not say where it stands: librdkafka reports that once, and by itself reads those partitions never.
@Suite(.blocking) struct UnreadTests {
    // Numbers of the Kafka protocol.
    private let offsetFetch: Int16 = 9
    private let notCoordinator: Int32 = 16
    private let offsetMetadataTooLarge: Int32 = 12

    /// A broker that comes back from a long pause answers so while its partitions are given back to it.
    @Test func aCoordinatorThatIsNotOneYetIsAskedAgain() async throws {
        try await arrives(after: [notCoordinator])
    }

    @Test func soIsOneThatRefusesForLonger() async throws {
        try await arrives(after: [notCoordinator, notCoordinator, offsetMetadataTooLarge])
    }

    private func arrives(after codes: [Int32]) async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, (0..<40).map { OutgoingRecord(topic: "in", value: bytes("v\($0)")) })
        broker.refuse(offsetFetch, with: codes)
        let bench = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await bench.until(20) { $0.seen.count >= 40 })
        #expect(await bench.ask { $0.notes.filter { $0.contains("is asked again") }.count } >= 1)
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        #expect(try read(settings, "out").count == 40)
        bench.end()
    }
}
