import EventLoop
import Foundation
import TestSupport
import Testing

@testable import Kafka

/// What the mock does not have: transactions that are isolated, offsets that pass with them, fencing, refusals.
@Suite(.blocking, .enabled(if: KafkaBroker.home != nil, "set KAFKA_HOME to a Kafka distribution for these"))
struct RealBrokerTests {
    static let shared = Result { try KafkaBroker() }

    private func settings(_ namespace: String, _ instance: String = "one") throws -> KafkaSettings {
        KafkaSettings(brokers: try Self.shared.get().brokers, namespace: namespace, instanceID: instance)
    }

    @Test func offsetsPassWithTheTransaction() async throws {
        let settings = try settings("offsets")
        try await produce(settings, records(settings, 0..<1_000))
        let first = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await first.until(60) { $0.seen.count == 1_000 })
        #expect(await first.ask { $0.states } == [.up])
        // The serialized form that the generation is read from is librdkafka's own and may change.
        #expect(await first.ask { $0.pipeline.generation ?? 0 } > 0)
        #expect(try await holds(settings, "out", 1_000))
        await stop(first)
        try await produce(settings, records(settings, 1_000..<1_100))
        let second = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await second.until(60) { $0.seen.count == 100 })
        #expect(try await holds(settings, "out", 1_100))
        await stop(second)
        try expectExactlyOnce(settings, 1_100)
    }

    @Test func newcomersDoubleAndLoseNothing() async throws {
        let settings = try settings("newcomers")
        try await produce(settings, records(settings, 0..<2_000))
        let steady = try await Bench {
            try Echo($0, settings, topics: ["in"], output: "out", limits: PipelineLimits(records: 50))
        }
        for round in 0..<3 {
            let newcomer = try await Bench { [other = try self.settings("newcomers", "n\(round)")] in
                try Echo($0, other, topics: ["in"], output: "out", limits: PipelineLimits(records: 50))
            }
            try await produce(settings, records(settings, (2_000 + round * 2_000)..<(3_000 + round * 2_000)))
            #expect(await newcomer.until(60) { !$0.notes.isEmpty })
            try await produce(settings, records(settings, (3_000 + round * 2_000)..<(4_000 + round * 2_000)))
            #expect(await newcomer.until(60) { $0.seen.count > 20 })
            await stop(newcomer)
        }
        #expect(try await holds(settings, "out", 8_000))
        await stop(steady)
        try expectExactlyOnce(settings, 8_000)
    }

    @Test func aFencedProducerIsMadeAnew() async throws {
        let settings = try settings("fenced")
        try await produce(settings, records(settings, 0..<100))
        let bench = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await bench.until(60) { $0.seen.count == 100 })
        // Another producer of the same transactional id.
        let consumer = try KafkaClient(consumer: .inspector(settings))
        let rival = TransactionalProducer(
            settings: settings, transactionalID: settings.transactionalID(ofService: "echo"), consumer: consumer)
        #expect(rival.prepare(Abandonment()) == nil)
        try await produce(settings, records(settings, 100..<300))
        #expect(try await holds(settings, "out", 300))
        // An operator has given two instances one name.
        let alarms = await bench.ask { $0.alarms }
        #expect(alarms.count == 1 && alarms[0].contains("INSTANCE_ID") && alarms[0].contains("fenced.carillon-echo-one"), "\(alarms)")
        rival.close()
        consumer.destroy()
        await stop(bench)
        try expectExactlyOnce(settings, 300)
    }

    @Test func aStepPassesItsPrefixAndNoMore() async throws {
        let settings = try settings("steps")
        try Self.shared.get().createTopic("steps.in")
        try await produce(settings, records(settings, 0..<20, keys: 1))
        let first = try await Bench {
            let echo = try Echo($0, settings, topics: ["in"], output: "out", limits: PipelineLimits(stopPatience: .seconds(2)))
            echo.holdsBatches = true
            return echo
        }
        #expect(await first.until(60) { $0.batches.first?.records.count == 20 })
        await first.wait { echo, done in
            let batch = echo.batches[0]
            let outputs = batch.records.map { OutgoingRecord(topic: settings.topic("out"), key: $0.key, value: $0.value) }
            batch.commit(Array(outputs[..<5]), through: 5) {
                // Outputs alone: the prefix stays what it was.
                batch.commit([OutgoingRecord(topic: settings.topic("side"), value: bytes("x"))], through: 5) { done() }
            }
        }
        await stop(first)
        #expect(try read(settings, "side").count == 1)
        let second = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await second.until(60) { $0.seen.count >= 15 })
        #expect(await second.ask { $0.seen } == (5..<20).map { "\($0)" })
        await stop(second)
        try expectExactlyOnce(settings, 20)
    }

    @Test func settingsOfBrokerAndTopicAreTold() throws {
        try Self.shared.get().createTopic("told", configuration: "retention.ms=77000")
        let inspector = try KafkaInspector(try settings(""))
        #expect(try inspector.configuration(of: .broker)["auto.create.topics.enable"] == "true")
        #expect(try inspector.configuration(of: .topic("told"))["retention.ms"] == "77000")
        #expect(throws: KafkaError.self) { try inspector.configuration(of: .topic("nobody.made.it")) }
    }

    @Test func anOutputThatTheBrokerRefusesIsReplacedAndTheOthersPass() async throws {
        let settings = try settings("refused")
        try Self.shared.get().createTopic("refused.out", configuration: "max.message.bytes=50000")
        try await produce(settings, [OutgoingRecord(topic: "refused.in", value: bytes("one"))])
        let bench = try await Bench {
            let echo = try Echo($0, settings, topics: ["in"], output: "out")
            echo.holdsBatches = true
            echo.pipeline.onRefused = { OutgoingRecord(topic: $0.topic, value: bytes($1.name)) }
            return echo
        }
        #expect(await bench.until(60) { !$0.batches.isEmpty })
        await bench.ask { echo in
            let values = [bytes("one"), [UInt8](repeating: 65, count: 300_000), bytes("two")]
            var outputs = values.map { OutgoingRecord(topic: "refused.out", key: [1], value: $0) }
            // Too large for its headers alone: the larger values beside it are innocent.
            outputs[2].headers = [KafkaHeader("large", [UInt8](repeating: 65, count: 60_000))]
            echo.batches.removeFirst().finish(outputs + [OutgoingRecord(topic: "refused.out", key: [1], value: bytes("a longer one"))])
        }
        #expect(try await holds(settings, "out", 4))
        #expect(
            try read(settings, "out").map { text($0.value) }.sorted() == [
                "MSG_SIZE_TOO_LARGE", "MSG_SIZE_TOO_LARGE", "a longer one", "one",
            ])
        await stop(bench)
    }
}
