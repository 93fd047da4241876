import EventLoop
import TestSupport
import Testing

@testable import Kafka

/// What bounds a producer whose broker is away: how many records wait, and for how long.
@Suite(.blocking) struct ProducerLimitsTests {
    /// Nobody listens on port 1.
    private static let nowhere = KafkaSettings(brokers: "127.0.0.1:1", instanceID: "one")

    /// A producer, and what became of the records that it was given.
    private final class Sender {
        let producer: KafkaProducer
        private(set) var fates: [Int: KafkaError?] = [:]
        private(set) var states: [Bool] = []

        init(_ loop: EventLoop, _ settings: KafkaSettings = nowhere, deliveryTimeout: Duration, limit: Int) throws {
            producer = try KafkaProducer(loop: loop, settings: settings, deliveryTimeout: deliveryTimeout, limit: limit)
            #expect(producer.isUp)
            producer.onState = { [unowned self] in self.states.append($0 == .up) }
        }

        func send(_ number: Int) {
            producer.produce(OutgoingRecord(topic: "in", value: bytes("\(number)"))) { self.fates[number] = .some($0) }
        }
    }

    /// What becomes of one record.
    private static func send(_ number: Int, _ bench: Bench<Sender>) async -> KafkaError? {
        await bench.ask { $0.send(number) }
        let isTold = await bench.until { sender in sender.fates.keys.contains(number) }
        #expect(isTold)
        return await bench.ask { sender in errors(sender)[number] }
    }

    private static func errors(_ sender: Sender) -> [Int: KafkaError] { sender.fates.compactMapValues { $0 } }

    @Test func whatIsOverTheLimitIsRefusedAtOnceAndTheRestAtItsTime() async throws {
        let bench = try await Bench { try Sender($0, deliveryTimeout: .seconds(5), limit: 2) }
        #expect(
            await bench.ask { sender in
                for number in 1...3 { sender.send(number) }
                return sender.producer.inFlight
            } == 2)
        #expect(await bench.until { !$0.fates.isEmpty })
        let first = await bench.ask { Self.errors($0) }
        #expect(first[3]?.isOverLimit == true && first[3]?.isRefusal == false && first[3]?.isOutage == true)
        #expect(await bench.until { $0.fates.count == 3 && $0.producer.inFlight == 0 })
        let all = await bench.ask { Self.errors($0) }
        for number in 1...2 { #expect(all[number]?.isOutage == true && all[number]?.isOverLimit == false) }
        await bench.wait { sender, done in sender.producer.close { done() } }
        bench.end()
    }

    /// A topic that does not exist is told as that within half of the time that a record has, and at once from then on; once it is made, it
    /// is found.
    @Test func aTopicThatDoesNotExistIsToldAsThat() async throws {
        let broker = try EmbeddedBroker()
        try broker.createTopic("in")
        broker.hide("in")
        let bench = try await Bench { try Sender($0, .mock(broker), deliveryTimeout: .seconds(6), limit: 10) }
        for number in 1...2 {
            let error = await Self.send(number, bench)
            #expect(error?.isUnknownTopic == true && error?.description.contains("(topic in)") == true)
            #expect(error?.isOutage == false && error?.isRefusal == false)
        }
        broker.hide("in", false)
        var number = 3
        while await Self.send(number, bench) != nil, number < 1_000 {
            number += 1
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(number < 1_000)
        await bench.wait { sender, done in sender.producer.close { done() } }
        bench.end()
    }

    @Test func aBrokerThatDoesNotAnswerIsKnownToBeAway() async throws {
        let bench = try await Bench { try Sender($0, deliveryTimeout: .seconds(5), limit: 2) }
        #expect(await bench.until { !$0.producer.isUp })
        #expect(await bench.ask { $0.states } == [false])
        await bench.wait { sender, done in sender.producer.close(patience: .milliseconds(1)) { done() } }
        bench.end()
    }
}
