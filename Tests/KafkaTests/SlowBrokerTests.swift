import Settings
import TestSupport
import Testing

@testable import Kafka

/// A broker that takes little: what does not pass in a transaction's time is halved until it does.
@Suite(.blocking, .serialized, .enabled(if: KafkaBroker.home != nil, "set KAFKA_HOME to a Kafka distribution for these"))
struct SlowBrokerTests {
    private static let outputs = 1_000
    private static let outputBytes = 1_000

    /// A second takes a fifth of what is to be written, a transaction three seconds.
    private static let bytesPerSecond = outputs * outputBytes / 5

    private func settings(_ brokers: String) throws -> KafkaSettings {
        let properties = Environment(["KAFKA_PROPERTIES": "transaction.timeout.ms=3000;socket.timeout.ms=2500"])
        return KafkaSettings(brokers: brokers, properties: try KafkaServerSettings(properties).properties, instanceID: "one")
    }

    @Test func aBatchThatALineDoesNotCarryInTimeIsHalvedUntilItPasses() async throws {
        let wire = try SlowWire()
        let broker = try KafkaBroker(wire: wire)
        try await isHalvedAndPasses(try settings(broker.brokers), try settings(broker.slow)) {
            wire.limit(bytesPerSecond: $0 ? Self.bytesPerSecond : 0)
        }
    }

    @Test func aBatchOverAQuotaIsHalvedUntilItPasses() async throws {
        // A quota is reckoned over this many seconds.
        let broker = try KafkaBroker(settings: ["quota.window.num=2", "quota.window.size.seconds=1"])
        let settings = try settings(broker.brokers)
        try await isHalvedAndPasses(settings, settings) {
            try broker.limitProducers(bytesPerSecond: $0 ? Self.bytesPerSecond : 1 << 30)
        }
    }

    private func isHalvedAndPasses(_ fast: KafkaSettings, _ slow: KafkaSettings, limit: (Bool) throws -> Void) async throws {
        try await produce(fast, [OutgoingRecord(topic: "in", value: bytes("one"))])
        let bench = try await Bench {
            let echo = try Echo($0, slow, topics: ["in"], output: "out")
            echo.holdsBatches = true
            return echo
        }
        #expect(await bench.until(60) { !$0.batches.isEmpty })
        try limit(true)
        await bench.ask { echo in
            let outputs = (0..<Self.outputs).map {
                let filler = [UInt8](repeating: 32, count: Self.outputBytes)
                return OutgoingRecord(topic: "out", key: bytes("\($0 % 16)"), value: bytes("\($0)") + filler)
            }
            echo.batches.removeFirst().finish(outputs)
        }
        #expect(await bench.until { $0.pipeline.bound.records <= Self.outputs / 2 })
        #expect(await bench.until(120) { $0.pipeline.writingSince == nil })
        try limit(false)
        #expect(try read(fast, "out").count == Self.outputs)
        let notes = await bench.ask { $0.notes }
        #expect(notes.contains { $0.contains("a transaction did not pass and is tried again") })
        #expect(!notes.contains { $0.contains("_FATAL") || $0.contains("_STATE") }, "\(notes)")
        await stop(bench)
    }
}
