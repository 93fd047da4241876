import EventLoop
import FanoutWorker
import Foundation
import Kafka
import Models
import Redis
import ServiceRuntime
import Settings
import Store
import TestSupport
import Testing

/// One notification as a gateway hears it.
struct Heard: Equatable, Sendable {
    var recipient: GatewayRecipient
    var notification: String
    var sequence: UInt64
}

/// A gateway's place in Redis: its lease, its channel, and what it hears there. Confined to the rig's loop.
final class StandInGateway {
    let instance: InstanceID
    private let subscriber: RedisSubscriber
    private(set) var heard: [Heard] = []
    /// What it heard for watchers of channels: the channel, the offset, and the post.
    private(set) var posts: [String] = []
    private(set) var isUp = false

    init(_ loop: EventLoop, _ endpoint: RedisEndpoint, _ keys: Keyspace, name: String) {
        instance = InstanceID(name: name, epoch: UInt64(Date().timeIntervalSince1970 * 1e9))!
        subscriber = RedisSubscriber(loop: loop, endpoint: endpoint, channel: keys.channel(of: instance))
        subscriber.onMessage = { [unowned self] in self.take($0) }
        subscriber.onState = { [unowned self] in self.isUp = $0 == .up }
        subscriber.start()
    }

    func close() { subscriber.close() }

    private func take(_ message: [UInt8]) {
        let bytes = message.span
        do {
            var at = 0
            let head = try GatewayMessage.head(bytes, &at)
            while let pair = try GatewayMessage.pair(bytes, &at) {
                if pair.recipients.count == 2 {
                    let line = try ChannelLine.read(bytes, pair.notification)
                    guard case .post(let position, let range) = line.kind else { continue }
                    posts.append("\(line.channel) \(position.offset) \(String(decoding: message[range], as: UTF8.self))")
                    continue
                }
                var each = pair.recipients.lowerBound
                var recipients = try GatewayRecipients(bytes, &each)
                let text = String(decoding: message[pair.notification], as: UTF8.self)
                while let recipient = try recipients.next(bytes, &each) {
                    heard.append(Heard(recipient: recipient, notification: text, sequence: head.sequence))
                }
            }
        } catch { Issue.record("a gateway cannot read its message: \(error)") }
    }
}

/// A fanout-worker between a real Redis and the mock broker.
final class Rig: @unchecked Sendable {
    // @unchecked: what is mutable is made and used on `loop` only.
    let redis: RedisServer
    let kafka: KafkaSettings
    let loop: EventLoop
    let keys: Keyspace
    private let broker: EmbeddedBroker
    private let serviceLoop: EventLoop
    let host: ServiceHost<FanoutWorker>
    let apiKey = "0123456789abcdef"
    private var client: RedisClient?
    private var producer: KafkaProducer?
    private var gateways: [String: StandInGateway] = [:]

    init(_ settings: [String: String] = [:]) async throws {
        redis = try RedisServer()
        broker = try EmbeddedBroker()
        kafka = KafkaSettings(brokers: broker.brokers, isMock: true, namespace: "t", instanceID: "rig")
        keys = Keyspace(namespace: "t", shards: 64)
        for topic in ["notifications", "push"] {
            for priority in Priority.allCases {
                // What is read back again and again has one partition, for each takes its time.
                try broker.createTopic("t.\(topic).\(priority.rawValue)", partitions: topic == "push" ? 1 : 2)
            }
        }
        try broker.createTopic("t.notifications.dlq", partitions: 1)
        loop = EventLoop(name: "rig")
        loop.start()
        serviceLoop = EventLoop(name: "fanout")
        serviceLoop.start()
        let environment = [
            "REDIS_URL": redis.url, "KAFKA_BROKERS": broker.brokers, "KAFKA_MOCK": "true", "NAMESPACE": "t", "INSTANCE_ID": "fanout-1",
            "API_KEY": apiKey, "LISTEN_ADDRESS": "127.0.0.1", "PORT": "0", "OPERATIONS_PORT": "0", "LOG_LEVEL": "error",
            // A disk that is slow to flush is no outage: the test of one sets less.
            "REDIS_COMMAND_TIMEOUT": "5s",
        ]
        host = try ServiceHost(
            FanoutWorker.self, loop: serviceLoop, environment: Environment(environment.merging(settings) { $1 }))
        try await host.start()
        try await on { rig in
            let client = RedisClient(loop: rig.loop, endpoint: rig.endpoint, scripts: StoreScripts.all)
            client.start()
            rig.client = client
            rig.producer = try KafkaProducer(loop: rig.loop, settings: rig.kafka, limit: 1_000_000)
        }
        try #require(await until { $0.client?.isUp == true })
        // Each lane that joins the group makes it settle again, and a batch that is under way then is done twice.
        try #require(await eventually { await isReady() })
    }

    private func isReady() async -> Bool {
        guard let socket = RawSocket(port: await host.operationsPort ?? 0) else { return false }
        socket.send("GET /health/ready HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        return socket.takeAll().hasPrefix("HTTP/1.1 200")
    }

    var endpoint: RedisEndpoint { RedisEndpoint(host: "127.0.0.1", port: redis.port) }

    func end() async {
        await host.drain()
        try? await on { rig in
            rig.gateways.values.forEach { $0.close() }
            rig.client?.close()
        }
        await wait { rig, done in rig.producer?.close { done() } }
        loop.stop()
        serviceLoop.stop()
        redis.stop()
    }

    // MARK: On the loop

    @discardableResult
    func on<Answer: Sendable>(_ body: @escaping @Sendable (Rig) throws -> Answer) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            loop.post { continuation.resume(with: Result { try body(self) }) }
        }
    }

    func wait(_ body: @escaping @Sendable (Rig, @escaping () -> Void) -> Void) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.post { body(self) { continuation.resume() } }
        }
    }

    /// Asks until the answer is yes; false once the deadline has passed.
    func until(_ seconds: Double = 40, _ question: @escaping @Sendable (Rig) throws -> Bool) async throws -> Bool {
        let deadline = Date() + seconds
        while Date() < deadline {
            if try await on(question) { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return try await on(question)
    }

    // MARK: Gateways

    func addGateway(_ name: String, listens: Bool = true) async throws {
        try await on { rig in
            let gateway = StandInGateway(rig.loop, rig.endpoint, rig.keys, name: name)
            if !listens { gateway.close() }
            rig.gateways[name] = gateway
        }
        if listens { try #require(await until { $0.gateways[name]?.isUp == true }) }
        await wait { rig, done in
            Gateways(rig.client!, rig.keys).enrol(rig.gateways[name]!.instance) { _ in done() }
        }
    }

    func register(_ person: String, at gateway: String, index: UInt32) async throws {
        await wait { rig, done in
            let connection = ConnectionID(instance: rig.gateways[gateway]!.instance, index: index, generation: 1)
            Routes(rig.client!, rig.keys).register(
                connection, of: PersonID(person)!, device: "d", transport: .websocket, from: .present, limit: 0
            ) { _ in done() }
        }
    }

    func heard(_ gateway: String) async throws -> [Heard] { try await on { $0.gateways[gateway]!.heard } }

    func posts(_ gateway: String) async throws -> [String] { try await on { $0.gateways[gateway]!.posts } }

    func postCount(_ gateway: String) -> Int { gateways[gateway]!.posts.count }

    func watch(_ channel: String, at gateway: String) async throws {
        await wait { rig, done in
            let instance = rig.gateways[gateway]!.instance
            ChannelStreams(rig.client!, rig.keys).watch(
                ChannelID(channel)!, at: instance, [], count: WatcherCount(watchers: 1, listeners: 0), from: .present, limit: 0
            ) { _ in done() }
        }
    }

    /// The ids of the posts in a channel's history.
    func history(_ channel: String) async throws -> [String] {
        try await withCheckedThrowingContinuation { continuation in
            loop.post {
                ChannelStreams(self.client!, self.keys).page(of: ChannelID(channel)!, from: .floor, limit: 10_000) { page in
                    continuation.resume(with: page.map { $0.entries.map { String(decoding: $0.id, as: UTF8.self) } })
                }
            }
        }
    }

    func heardCount(_ gateway: String) -> Int { gateways[gateway]!.heard.count }

    func add(_ members: [String], to audience: String) async {
        await wait { rig, done in
            Audiences(rig.client!, rig.keys).add(members.map { PersonID($0)! }, to: audience) { _ in done() }
        }
    }

    /// The ids of the notifications in a person's inbox.
    func inbox(_ person: String) async throws -> [String] {
        try await withCheckedThrowingContinuation { continuation in
            loop.post {
                Inbox(self.client!, self.keys).page(of: PersonID(person)!, from: .floor, limit: 10_000) { page in
                    continuation.resume(with: page.map { $0.entries.map { String(decoding: $0.id, as: UTF8.self) } })
                }
            }
        }
    }

    /// On the loop only.
    var inbox: Inbox { Inbox(client!, keys) }

    // MARK: Kafka

    func produce(_ topic: String, _ records: [(key: String, value: String)]) async {
        await wait { rig, done in
            var left = records.count
            for record in records {
                let outgoing = OutgoingRecord(
                    topic: rig.kafka.topic(topic), key: Array(record.key.utf8), value: Array(record.value.utf8),
                    headers: [KafkaHeader("traceparent", "00-1")])
                rig.producer!.produce(outgoing) { error in
                    #expect(error == nil)
                    left -= 1
                    if left == 0 { done() }
                }
            }
        }
    }

    /// All committed records of a topic.
    func read(_ topic: String) throws -> [KafkaRecord] {
        let inspector = try KafkaInspector(kafka)
        var records: [KafkaRecord] = []
        for found in try inspector.topics() where found.name == kafka.topic(topic) {
            try inspector.read(topic: found.name, partitions: found.partitions) {
                records.append($0)
                return true
            }
        }
        return records
    }

    /// Reads until there are so many records; what there is once the deadline has passed.
    func read(_ topic: String, count: Int, seconds: Double = 40) async throws -> [KafkaRecord] {
        let deadline = Date() + seconds
        while true {
            let records = try read(topic)
            if records.count >= count || Date() > deadline { return records }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    // MARK: REST

    func rest(_ method: String, _ path: String, _ body: String = "", key: String? = nil) async -> String {
        guard let socket = RawSocket(port: await host.port ?? 0) else { return "no connection" }
        socket.send(
            "\(method) \(path) HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-API-Key: \(key ?? apiKey)\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return socket.takeAll()
    }

    /// Waits for the worker to say so.
    func isRedis(up: Bool) async throws -> Bool {
        let deadline = Date() + 30
        while Date() < deadline {
            if await metric("carillon_dependency_up{dependency=\"redis\"}") == (up ? 1 : 0) { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    func metric(_ name: String) async -> Double {
        guard let socket = RawSocket(port: await host.operationsPort ?? 0) else { return -1 }
        socket.send("GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        let line = socket.takeAll().split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + " ") }
        return line.flatMap { Double($0.split(separator: " ").last ?? "") } ?? -1
    }
}

/// Asks until the answer is yes; false once the deadline has passed.
func eventually(_ question: () async throws -> Bool) async throws -> Bool {
    let deadline = Date() + 40
    while Date() < deadline {
        if try await question() { return true }
        try await Task.sleep(for: .milliseconds(10))
    }
    return false
}

/// A record of `notifications.*`, and the notification's id.
func record(
    _ number: Int, for audience: String, actor: String? = nil, push: Bool = true, accepted: Int64 = EventLoop.wallClock(),
    ttlSeconds: Int = 60
) -> (value: String, id: String) {
    let digest = (0..<16).map { UInt8(truncatingIfNeeded: number >> ($0 % 4 * 8)) }
    let id = NotificationID(digest: digest).description
    let actor = actor.map { #","actor":{"id":"\#($0)"}"# } ?? ""
    let value =
        #"{"v":1,"source":"/t","eventId":"\#(number)","accepted":\#(accepted),"audience":\#(audience),"push":\#(push),"#
        + #""ttlSeconds":\#(ttlSeconds),"notification":{"id":"\#(id)","type":"t.t","title":"\#(number)"\#(actor)}}"#
    return (value, id)
}
