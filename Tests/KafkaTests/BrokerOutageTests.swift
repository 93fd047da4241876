import EventLoop
import Kafka
import TestSupport
import Testing

/// A real broker goes away in the middle, and comes back.
@Suite(.serialized, .enabled(if: KafkaBroker.home != nil, "set KAFKA_HOME to a Kafka distribution for these"))
struct BrokerOutageTests {
    static let shared = Result { try KafkaBroker() }

    @Test func aBrokerThatStandsStillForTenSeconds() async throws {
        try await outage("still", seconds: 10, { $0.suspend() }) { $0.resume() }
    }

    @Test func aBrokerThatIsStartedAgainOnItsData() async throws {
        // Killed. Where the only replica of all partitions is asked to end (4.3.1), it gives up their leadership first and then completes a
        // transaction under way without writing its markers: the commit is answered and half of it is lost, whoever the client is.
        try await outage("again", seconds: 6, { $0.stop(9) }) { try $0.start() }
    }

    /// Records flow while the broker is away: nothing is lost or doubled, and the state is told once each way.
    private func outage(
        _ namespace: String, seconds: Int, _ goes: (KafkaBroker) -> Void, comesBack: (KafkaBroker) throws -> Void
    ) async throws {
        let broker = try Self.shared.get()
        let settings = KafkaSettings(brokers: broker.brokers, namespace: namespace, instanceID: "one")
        try await produce(settings, records(settings, 0..<3_000))
        let bench = try await Bench {
            try Echo($0, settings, topics: ["in"], output: "out", limits: PipelineLimits(records: 20))
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
        try expectExactlyOnce(settings, 3_100)
    }
}
