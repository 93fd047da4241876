import TestSupport
import Testing

@testable import Kafka

/// What a broker forgets of a producer that was quiet for a week, here for a second.
@Suite(.blocking, .enabled(if: KafkaBroker.home != nil, "set KAFKA_HOME to a Kafka distribution for these"))
struct ForgottenProducerTests {
    @Test func aProducerThatTheBrokerHasForgottenIsMadeAnew() async throws {
        let broker = try KafkaBroker(settings: [
            "transactional.id.expiration.ms=1000", "transaction.remove.expired.transaction.cleanup.interval.ms=500",
            "producer.id.expiration.ms=1000", "producer.id.expiration.check.interval.ms=500",
        ])
        let settings = KafkaSettings(brokers: broker.brokers, instanceID: "one")
        try await produce(settings, records(settings, 0..<10))
        let bench = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(try await holds(settings, "out", 10))
        // It expires in between; nothing tells when.
        try await Task.sleep(for: .seconds(6))
        try await produce(settings, records(settings, 10..<20))
        #expect(try await holds(settings, "out", 20))
        let notes = await bench.ask { $0.notes }
        #expect(notes.contains { $0.contains("INVALID_PRODUCER_ID_MAPPING") })
        await stop(bench)
        try expectExactlyOnce(settings, 20)
    }
}
