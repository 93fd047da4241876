import EventLoop
import Foundation
import ServiceRuntime
import Settings
import Synchronization
import TestSupport
import Testing

@testable import Kafka
@testable import NotificationService

/// The service whole, with a broker that makes no topics by itself, as far as these tests go.
private final class Rig: Sendable {
    let broker: EmbeddedBroker
    private let loop = EventLoop(name: "notification")
    private let host: ServiceHost<NotificationService>
    private let written: Written

    init(hidden: [String], timeout: String = "10s") async throws {
        broker = try EmbeddedBroker()
        for topic in hidden {
            try broker.createTopic(topic)
            broker.hide(topic)
        }
        loop.start()
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../deploy/policies.yaml").path
        let environment = [
            "KAFKA_BROKERS": broker.brokers, "KAFKA_MOCK": "true", "INSTANCE_ID": "one", "API_KEY": "0123456789abcdef", "POLICIES": file,
            "LISTEN_ADDRESS": "127.0.0.1", "PORT": "0", "OPERATIONS_PORT": "0", "LOG_LEVEL": "error", "EVENT_ACK_TIMEOUT": timeout,
        ]
        let written = Written()
        self.written = written
        host = try ServiceHost(NotificationService.self, loop: loop, environment: Environment(environment)) { written.take($0) }
        try await host.start()
    }

    private final class Written: Sendable {
        private let text = Mutex("")
        var lines: [String] { text.withLock { $0.split(separator: "\n").map(String.init) } }
        func take(_ line: [UInt8]) -> Bool {
            text.withLock { $0 += String(decoding: line, as: UTF8.self) }
            return true
        }
    }

    var errors: [String] { written.lines.filter { $0.contains(" error ") } }

    func post(_ type: String, data: String = #"{"audience":{"user":"bob"},"title":"Hi"}"#) async -> String {
        guard let socket = RawSocket(port: await host.port ?? 0) else { return "no connection" }
        let body = event(data, type: type)
        socket.send(
            "POST /v1/events HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-API-Key: 0123456789abcdef\r\n"
                + "Content-Type: application/cloudevents+json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return socket.takeAll()
    }

    /// Writes a record, once Kafka has it.
    func produce(_ value: String, to topic: String = "events.social") async throws {
        let settings = KafkaSettings(brokers: broker.brokers, isMock: true, instanceID: "test")
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            loop.post { [loop] in
                do {
                    let producer = try KafkaProducer(loop: loop, settings: settings)
                    producer.produce(OutgoingRecord(topic: topic, value: Array(value.utf8))) { error in
                        producer.close { done.resume(with: error.map { .failure($0) } ?? .success(())) }
                    }
                } catch { done.resume(throwing: error) }
            }
        }
    }

    /// The ids of the events whose notifications a topic holds. A record may stand twice: the group takes a batch back when it
    /// rebalances.
    func events(_ topic: String) throws -> Set<String> {
        let inspector = try KafkaInspector(KafkaSettings(brokers: broker.brokers, isMock: true, instanceID: "test"))
        var events: Set<String> = []
        for found in try inspector.topics() where found.name == topic {
            try inspector.read(topic: topic, partitions: found.partitions) { record in
                let json = try? JSONSerialization.jsonObject(with: Data(record.value)) as? [String: Any]
                events.insert(json?["eventId"] as? String ?? "a record without an event")
                return true
            }
        }
        return events
    }

    func end() async {
        await host.drain()
        loop.stop()
    }
}

@Suite(.blocking) struct EventsRouteTests {
    /// 1,000 people and 20 KB are over the 16 MB of EVENT_MAX_EXPANSION: not a 202 and a dead letter behind it.
    @Test func anEventThatWouldBecomeTooMuchIs413WithTheLimitsName() async throws {
        let rig = try await Rig(hidden: [])
        let people = (0..<1_000).map { "\"p\($0)\"" }.joined(separator: ",")
        func post(_ bytes: Int) async -> String {
            let body = String(repeating: "x", count: bytes)
            return await rig.post("social.like", data: #"{"audience":{"users":[\#(people)]},"title":"Hi","body":"\#(body)"}"#)
        }
        let answer = await post(20_000)
        #expect(answer.hasPrefix("HTTP/1.1 413 ") && answer.contains("\"type\":\"http://t/problems#too_large\""))
        #expect(answer.contains("over EVENT_MAX_EXPANSION (16777216)"))
        #expect(rig.errors.isEmpty)
        #expect(await post(10_000).hasPrefix("HTTP/1.1 202 "))
        await rig.end()
    }

    @Test func aDeadLetterIsAnErrorInTheLog() async throws {
        let rig = try await Rig(hidden: [])
        try await rig.produce("no secret of Bob's")
        let deadline = Date() + 40
        while rig.errors.isEmpty, Date() < deadline { try await Task.sleep(for: .milliseconds(5)) }
        #expect(rig.errors.count == 1)
        let line = rig.errors.first ?? ""
        #expect(line.contains("message=\"an event became a dead letter\" reason=not_json") && !line.contains("Bob"))
        await rig.end()
    }

    /// A campaign's transaction does not pass at all. Payments are written meanwhile, and nothing of low priority is.
    @Test func aPaymentWaitsForNoTransaction() async throws {
        let rig = try await Rig(hidden: [])
        func pay(_ id: String) async throws {
            let payment = event(#"{"audience":{"user":"bob"},"title":"Paid"}"#, type: "transaction.payment")
            try await rig.produce(payment.replacing(#""id":"1""#, with: #""id":"\#(id)""#), to: "events.bank")
        }
        func written(_ payments: Set<String>) async throws -> Set<String> {
            let deadline = Date() + 60
            while try !payments.isSubset(of: rig.events("notifications.high")), Date() < deadline {
                try await Task.sleep(for: .milliseconds(10))
            }
            return try rig.events("notifications.high")
        }
        try await pay("0")
        #expect(try await written(["0"]) == ["0"])
        // AddOffsetsToTxn: the coordinator is still loading.
        rig.broker.refuse(25, with: [Int32](repeating: 14, count: 200_000))
        let people = (0..<1_000).map { "\"p\($0)\"" }.joined(separator: ",")
        let offer = event(#"{"audience":{"users":[\#(people)]},"title":"Offer"}"#, type: "marketing.offer")
        try await rig.produce(offer, to: "events.marketing")
        for number in 1...20 { try await pay("\(number)") }
        let payments = Set((0...20).map(String.init))
        #expect(try await written(payments) == payments)
        #expect(try rig.events("notifications.low").isEmpty)
        await rig.end()
    }

    /// Not 503 for ever: it will never be there, so the sender is told which topic is missing, and so is the log.
    @Test func aTypeWhoseTopicDoesNotExistIs404WithItsName() async throws {
        let rig = try await Rig(hidden: ["events.social"])
        let first = await rig.post("social.like")
        #expect(first.hasPrefix("HTTP/1.1 404 ") && first.contains("\"type\":\"http://t/problems#unknown_topic\""))
        #expect(first.contains("There is no topic events.social in Kafka."))
        #expect(await rig.post("social.mention").hasPrefix("HTTP/1.1 404 "))
        #expect(rig.errors.contains { $0.contains("its topic does not exist") && $0.contains("topic=events.social") })
        let other = await rig.post("message.direct")
        #expect(other.hasPrefix("HTTP/1.1 202 ") && other.hasSuffix(",\"warnings\":[]}"))
        // Once it is made it is found, without a restart.
        rig.broker.hide("events.social", false)
        var answer = ""
        let deadline = Date() + 40
        while !answer.hasPrefix("HTTP/1.1 202 "), Date() < deadline { answer = await rig.post("social.like") }
        #expect(answer.hasPrefix("HTTP/1.1 202 "))
        await rig.end()
    }

    /// A broker that has just come back may say for a moment that there is no topic.
    @Test func whatIsMissingForAMomentIs503() async throws {
        let rig = try await Rig(hidden: ["events.social"], timeout: "1s")
        let first = await rig.post("social.like")
        #expect(first.hasPrefix("HTTP/1.1 503 ") && first.contains("Retry-After: 1\r\n"))
        var answer = first
        let deadline = Date() + 40
        while answer.hasPrefix("HTTP/1.1 503 "), Date() < deadline { answer = await rig.post("social.like") }
        #expect(answer.hasPrefix("HTTP/1.1 404 "))
        await rig.end()
    }
}
