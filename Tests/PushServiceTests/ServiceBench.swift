import EventLoop
import Foundation
import HTTPClient
import Kafka
import Models
import ServiceRuntime
import Settings
import Store
import Synchronization
import TestSupport
import Testing
import Tokens

@testable import PushService

/// The push-service in this process, with a real Redis, an embedded broker and the stand-in for APNs.
final class ServiceBench: @unchecked Sendable {
    // @unchecked: one test uses it from one task at a time; what belongs to a loop is touched there.
    static let secret = "01234567890123456789012345678901"

    let redis: RedisServer
    let broker: EmbeddedBroker
    var standIn: APNsStandIn?
    /// Between the service and the stand-in, where the test asked for it.
    private(set) var wire: Wire?
    private let values: [String: String]
    private(set) var host: ServiceHost<BenchedService>?
    private var hosted: BenchedService?
    private let lines = Lines()
    private let loop = EventLoop(name: "push-bench")
    private var producer: KafkaProducer?
    private var client: HTTPClient?

    /// Runs a test on a bench of its own, which ends whatever the test does.
    /// - Parameter wired: the setting of the address that leads through `wire` to the stand-in.
    static func with(
        apns: Bool = true, wired: String? = nil, _ more: [String: String] = [:], _ body: (ServiceBench) async throws -> Void
    ) async throws {
        let bench = try await ServiceBench(withAPNs: apns, wired: wired, more)
        do {
            try await bench.start()
            try await body(bench)
        } catch {
            await bench.end()
            throw error
        }
        await bench.end()
    }

    private init(withAPNs: Bool, wired: String?, _ more: [String: String] = [:]) async throws {
        redis = try RedisServer()
        broker = try EmbeddedBroker()
        var values = [
            "LISTEN_ADDRESS": "127.0.0.1", "PORT": "0", "OPERATIONS_PORT": "0", "INSTANCE_ID": "push-1",
            "TOKEN_SECRET": Self.secret, "REDIS_URL": redis.url, "KAFKA_BROKERS": broker.brokers, "KAFKA_MOCK": "true",
            "PUSH_RETRY_BASE": "20ms", "PUSH_RETRY_LONGEST": "200ms", "APNS_TIMEOUT": "8s", "REDIS_COMMAND_TIMEOUT": "4s",
        ]
        if withAPNs {
            let standIn = try APNsStandIn()
            self.standIn = standIn
            values.merge(standIn.environment.filter { $0.key != "APNS_RECEIVED_URL" }) { $1 }
            if let wired {
                let wire = try Wire(to: standIn.port)
                self.wire = wire
                values[wired] = "https://127.0.0.1:\(wire.port)"
            }
        }
        self.values = values.merging(more) { $1 }
        loop.start()
        let settings = KafkaSettings(brokers: broker.brokers, isMock: true, instanceID: "bench")
        try await onLoop {
            self.producer = try KafkaProducer(loop: self.loop, settings: settings)
            self.client = HTTPClient(loop: self.loop)
        }
        for topic in ["push.high", "push.normal", "push.low", "push.dlq", Self.parkingTopic, Self.scriptedParkingTopic] {
            try broker.createTopic(topic, partitions: 2)
        }
    }

    func start() async throws {
        let host = try ServiceHost(
            BenchedService.self, loop: EventLoop(name: "push"), environment: Environment(values),
            log: { [lines] in lines.take($0) })
        host.loop.start()
        self.host = host
        let before = log.count
        let lanes = ["high", "normal", "low", "parked"] + (BenchedService.script == nil ? [] : ["parked_fcm"])
        hosted = try await host.start()
        // The group may settle in several rounds; a commit between them is lost, and what it passed is pushed twice. In the round that
        // gives the last of the lanes its partitions, all are there.
        await until("the lanes have their partitions") {
            let given = log[before...].filter { $0.contains("the group gave this member") }
            return lanes.allSatisfy { lane in given.contains { $0.contains("lane=\(lane)") } }
        }
        try await until("Redis is up") { try await request("GET", "/v1/devices", as: "nobody").status == 200 }
    }

    func stop() async {
        await host?.drain()
        host?.loop.stop()
    }

    func end() async {
        await stop()
        try? await onLoop {
            self.client?.close()
            self.producer?.close {}
        }
        loop.stop()
        standIn?.stop()
        redis.stop()
    }

    var log: [String] { lines.lines.withLock { $0 } }

    /// How often the group has given partitions out so far.
    var rounds: Int { log.count { $0.contains("the group gave this member") } }

    private func onLoop<Answer: Sendable>(_ body: @escaping @Sendable () throws -> Answer) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            loop.post { continuation.resume(with: Result { try body() }) }
        }
    }

    // MARK: REST

    func request(
        _ method: String, _ path: String, body: String = "", as person: String? = nil, token: String? = nil
    ) async throws -> HTTPClientResponse {
        let port = try #require(await port())
        var headers: [(name: String, value: String)] = []
        if let person { headers.append(("authorization", "Bearer \(Self.token(for: person))")) }
        if let token { headers.append(("authorization", "Bearer \(token)")) }
        return try await send(
            HTTPClientRequest(
                method: method, url: "http://127.0.0.1:\(port)\(path)", headers: headers, body: Array(body.utf8)))
    }

    private func port() async -> Int? {
        guard let host else { return nil }
        let context = host.context
        return await withCheckedContinuation { continuation in
            host.loop.post { continuation.resume(returning: context.port) }
        }
    }

    static func token(for person: String, expires: Int64 = EventLoop.wallClock() / 1000 + 600) -> String {
        mintHS256(TokenClaims(subject: person, expires: expires), secret: secret)
    }

    func register(_ device: String, _ person: String, environment: String = "sandbox") async throws {
        let body = #"{"token":"\#(device)","platform":"apns","app":"app.carillon.demo","environment":"\#(environment)"}"#
        #expect(try await request("PUT", "/v1/devices", body: body, as: person).status == 200)
    }

    /// Registers a device of the scripted provider, which the service's own form does not take.
    func registerScripted(_ token: String, _ person: String) async throws {
        let device = Device(token: token, platform: ProviderName.fcm.rawValue, app: "", environment: "production")
        let id = try #require(PersonID(person))
        let service = try #require(hosted)
        await until("it is registered") { await service.register(device, id) }
    }

    func devices(_ person: String) async throws -> [String] {
        let answer = try await request("GET", "/v1/devices", as: person)
        let object = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: [[String: String]]]
        return (object?["devices"] ?? []).compactMap { $0["token"] }.sorted()
    }

    func send(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        try await withCheckedThrowingContinuation { continuation in
            loop.post { self.client?.send(request) { continuation.resume(with: $0) } }
        }
    }

    // MARK: Kafka

    static func notificationID(_ number: Int) -> String {
        NotificationID(digest: sha256(Array("test\0\(number)".utf8))).description
    }

    static func record(_ person: String, _ number: Int, lane: String = "normal", expiresIn: Int64 = 600_000) -> OutgoingRecord {
        let now = EventLoop.wallClock()
        let notification =
            #"{"id":"\#(notificationID(number))","type":"message.direct","priority":"\#(lane)","title":"Title \#(number)","#
            + #""body":"Body","createdAt":"\#(Timestamp.text(now))","expiresAt":"\#(Timestamp.text(now + expiresIn))"}"#
        let value =
            #"{"v":1,"person":"\#(person)","offset":\#(number),"epoch":1,"reason":"offline","accepted":\#(now),"notification":\#(notification)}"#
        return OutgoingRecord(
            topic: "push.\(lane)", key: Array(person.utf8), value: Array(value.utf8), headers: [KafkaHeader("traceparent", "00-a")])
    }

    func produce(_ records: [OutgoingRecord]) async throws {
        for record in records {
            let error: KafkaError? = try await withCheckedThrowingContinuation { continuation in
                loop.post { self.producer?.produce(record) { continuation.resume(returning: $0) } }
            }
            #expect(error == nil)
        }
    }

    static let parkingTopic = "push.retry.apns"
    static let scriptedParkingTopic = "push.retry.fcm"

    func deadLetters() throws -> [KafkaRecord] { try records(of: "push.dlq") }

    func records(of topic: String) throws -> [KafkaRecord] {
        let inspector = try KafkaInspector(KafkaSettings(brokers: broker.brokers, isMock: true, instanceID: "inspector"))
        var records: [KafkaRecord] = []
        try inspector.read(topic: topic, partitions: [0, 1]) {
            records.append($0)
            return true
        }
        return records
    }

    // MARK: The stand-in

    struct Received: Decodable {
        let token: String
        let apnsId: String
        let collapseId: String?
        let topic: String
        let pushType: String
        let priority: Int
        let status: Int
        /// ms since 1970.
        let at: Int64
        let payload: [String: Anything]

        enum Anything: Decodable {
            case anything
            init(from decoder: any Decoder) throws { self = .anything }
        }
    }

    func received(_ token: String) async throws -> [Received] { try await list("?token=\(token)") }

    /// By all devices, in the order of their arrival.
    func received() async throws -> [Received] { try await list("") }

    private func list(_ query: String) async throws -> [Received] {
        let url = "\(try #require(standIn).plainURL)/received\(query)"
        let answer = try await send(HTTPClientRequest(url: url))
        return try JSONDecoder().decode([Received].self, from: Data(answer.body))
    }

    /// Without repetitions: after a rebalance a push may go out again, under the same `apns-id`.
    func receivedOnce(_ token: String) async throws -> [Received] {
        var seen: Set<String> = []
        return try await received(token).filter { seen.insert($0.apnsId).inserted }
    }

    func fault(_ text: String) async throws {
        let url = "\(try #require(standIn).plainURL)/fault"
        let answer = try await send(HTTPClientRequest(method: "POST", url: url, body: Array(text.utf8)))
        #expect(answer.status == 200)
    }
}

/// Lines of a log that lives on another thread.
private final class Lines: Sendable {
    let lines = Mutex<[String]>([])

    func take(_ line: [UInt8]) -> Bool {
        lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
        return true
    }
}

/// Asks until the answer is yes, for 90 s at most.
func until(
    _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ question: () async throws -> Bool
) async rethrows {
    let deadline = ContinuousClock.now + .seconds(90)
    while ContinuousClock.now < deadline {
        if try await question() { return }
        try? await Task.sleep(for: .milliseconds(20))
    }
    Issue.record(what, sourceLocation: sourceLocation)
}
