import EventLoop
import Kafka
import TestSupport
import Testing

/// A real broker goes away in the middle, and comes back.
@Suite(.blocking, .serialized, .enabled(if: KafkaBroker.home != nil, "set KAFKA_HOME to a Kafka distribution for these"))
struct BrokerOutageTests {
    private static let batchRecords = 20
    static let shared = Result { try KafkaBroker() }

    @Test func aBrokerThatStandsStillForTenSeconds() async throws {
        try await outage("still", seconds: 10, { $0.suspend() }) { $0.resume() }
    }

    // A lone broker that ends in the middle of a commit forgets half of it (decision 0014): that batch comes again.

    @Test func aBrokerThatIsKilledAndStartedAgainOnItsData() async throws {
        try await outage("killed", seconds: 6, repeated: Self.batchRecords, { $0.stop(9) }) { try $0.start() }
    }

    @Test func aBrokerThatIsEndedAndStartedAgainOnItsData() async throws {
        try await outage("ended", seconds: 6, repeated: Self.batchRecords, { $0.stop() }) { try $0.start() }
    }

    /// Records flow while the broker is away: nothing is lost, no more is doubled than that, and the state is told once each way.
    private func outage(
        _ namespace: String, seconds: Int, repeated: Int = 0, _ goes: (KafkaBroker) -> Void, comesBack: (KafkaBroker) throws -> Void
    ) async throws {
        let broker = try Self.shared.get()
        let settings = KafkaSettings(brokers: broker.brokers, namespace: namespace, instanceID: "one")
        try await produce(settings, records(settings, 0..<3_000))
        let bench = try await Bench {
            try Echo($0, settings, topics: ["in"], output: "out", limits: PipelineLimits(records: Self.batchRecords))
        }
        #expect(await bench.until(60) { $0.seen.count > 500 })
        goes(broker)
        try await Task.sleep(for: .seconds(seconds))
        // Longer where it takes long until that is noticed.
        #expect(await bench.until(30) { $0.states.count == 2 })
        try comesBack(broker)
        #expect(await bench.until(60) { Set($0.seen).count == 3_000 })
        #expect(await bench.until(30) { $0.states.count == 3 })
        let states = await bench.ask { $0.states }
        #expect(states.count == 3 && states.first == .up && states.last == .up)
        try await produce(settings, records(settings, 3_000..<3_100))
        #expect(await bench.until(60) { Set($0.seen).count == 3_100 })
        #expect(try await holds(settings, "out", 3_100))
        await stop(bench)
        try expectExactlyOnce(settings, 3_100, repeated: repeated)
    }
}
