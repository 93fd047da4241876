import EventLoop
import Kafka
import Testing

/// What bounds a producer whose broker is away: how many records wait, and for how long.
@Suite struct ProducerLimitsTests {
    /// Nobody listens on port 1.
    private static let nowhere = KafkaSettings(brokers: "127.0.0.1:1", instanceID: "one")

    /// A producer, and what became of the records that it was given.
    private final class Sender {
        let producer: KafkaProducer
        private(set) var fates: [Int: KafkaError?] = [:]
        private(set) var states: [Bool] = []

        init(_ loop: EventLoop, deliveryTimeout: Duration, limit: Int) throws {
            producer = try KafkaProducer(
                loop: loop, settings: ProducerLimitsTests.nowhere, deliveryTimeout: deliveryTimeout, limit: limit)
            #expect(producer.isUp)
            producer.onState = { [unowned self] in self.states.append($0 == .up) }
        }

        func send(_ number: Int) {
            producer.produce(OutgoingRecord(topic: "in", value: bytes("\(number)"))) { self.fates[number] = .some($0) }
        }
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

    @Test func aBrokerThatDoesNotAnswerIsKnownToBeAway() async throws {
        let bench = try await Bench { try Sender($0, deliveryTimeout: .seconds(5), limit: 2) }
        #expect(await bench.until { !$0.producer.isUp })
        #expect(await bench.ask { $0.states } == [false])
        await bench.wait { sender, done in sender.producer.close(patience: .milliseconds(1)) { done() } }
        bench.end()
    }
}
