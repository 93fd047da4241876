import EventLoop
import Foundation
import Models
import Redis
import ServiceRuntime
import Settings
import Store
import TestSupport
import Testing
import Tokens

@testable import Gateway

let secret = "0123456789012345678901234567890123"

func token(_ person: String, seconds: Int64 = 600, device: String? = nil) -> String {
    let now = EventLoop.wallClock() / 1000
    return mintHS256(TokenClaims(subject: person, expires: now + seconds, issuedAt: now, device: device), secret: secret)
}

/// A gateway on a loop of its own beside a real Redis, and a fan-out of the test's own.
struct Deployment {
    let redis: RedisServer
    let host: ServiceHost<Gateway>
    let port: Int
    let feeder: Feeder
    let log = Lines()
    /// What stands between the gateway and its Redis, where a test asked for faults.
    private let wire: Wire?

    /// - Parameters:
    ///   - faults: what becomes of the batches that Redis publishes for the gateway; nil: they are heard.
    ///   - authorised: a token of `token()` is taken; else nobody waits until it is.
    init(
        _ values: [String: String] = [:], redis: RedisServer? = nil, faults: PublishFaults? = nil, authorised: Bool = true
    ) async throws {
        let redis = try redis ?? RedisServer()
        self.redis = redis
        wire = try faults.map { try Wire(to: redis.port, faults: $0) }
        let defaults = [
            "LISTEN_ADDRESS": "127.0.0.1", "PORT": "0", "OPERATIONS_PORT": "0", "TOKEN_SECRET": secret,
            "INSTANCE_ID": "gateway-1", "REDIS_URL": wire.map { "redis://127.0.0.1:\($0.port)" } ?? redis.url, "LEASE_INTERVAL": "200ms",
            // A disk that is slow to flush is no outage: tests of one set less.
            "REDIS_COMMAND_TIMEOUT": "5s",
            // A peer here answers pings when its test reads, which may be late where many tests run at a time.
            "PING_INTERVAL": "60s", "PONG_TIMEOUT": "50s",
        ]
        let loop = EventLoop(name: "gateway")
        let log = log
        host = try ServiceHost(
            Gateway.self, loop: loop, environment: Environment(defaults.merging(values) { $1 }), log: { log.take($0) })
        loop.start()
        try await host.start()
        port = try #require(await host.port)
        feeder = Feeder(redis: redis.url)
        await feeder.start()
        // Until it has enrolled, newcomers are asked to come back.
        try await until {
            let status = await http("GET", "/v1/inbox", ["Authorization": "Bearer \(token("nobody"))"]).status
            return status == (authorised ? 200 : 401)
        }
    }

    func http(_ method: String, _ path: String, _ headers: [String: String] = [:], body: String = "") async -> Answer {
        guard let socket = RawSocket(port: port) else { return Answer(status: 0, head: "", body: "") }
        var lines = headers.map { "\($0): \($1)\r\n" }.joined()
        if !body.isEmpty { lines += "Content-Length: \(body.utf8.count)\r\n" }
        socket.send("\(method) \(path) HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\(lines)\r\n\(body)")
        let all = socket.takeAll()
        let parts = all.range(of: "\r\n\r\n").map { (String(all[..<$0.lowerBound]), String(all[$0.upperBound...])) }
        return Answer(
            status: Int(all.split(separator: " ").dropFirst().first ?? "") ?? 0, head: parts?.0 ?? "", body: parts?.1 ?? "")
    }

    func metric(_ name: String) async -> Double {
        let text = await host.metrics()
        return text.split(separator: "\n").first { $0.hasPrefix(name + " ") }.flatMap { Double($0.split(separator: " ").last ?? "") } ?? -1
    }

    func stop() async {
        await feeder.stop()
        host.loop.stop()
        redis.stop()
    }
}

struct Answer {
    var status: Int
    var head: String
    var body: String

    var json: [String: Any] {
        ((try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any]) ?? [:]
    }
}

final class Lines: @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String] = []
    func take(_ line: [UInt8]) -> Bool {
        lock.withLock { lines.append(String(decoding: line, as: UTF8.self)) }
        return true
    }
    var all: [String] { lock.withLock { lines } }
    func count(_ text: String) -> Int { all.count { $0.contains(text) } }
}

extension ServiceHost {
    var port: Int? { context.port }
    func metrics() -> String { String(decoding: context.metrics.render(), as: UTF8.self) }
}

struct TimedOut: Error {}

func until(_ seconds: Double = 60, _ condition: () async throws -> Bool) async throws {
    let deadline = Date() + seconds
    while Date() < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw TimedOut()
}

/// What the fanout-worker does: append, then route.
actor Feeder: LoopActor {
    nonisolated let loop: EventLoop
    private let url: String
    var client: RedisClient?
    private var inbox: Inbox?
    private var router: RedisRouter?
    private var number: UInt64 = 0

    init(redis: String) {
        loop = EventLoop(name: "feeder")
        loop.start()
        url = redis
    }

    func start() async {
        guard let address = ServiceURL(url, ports: ["redis": 6379]), let endpoint = try? RedisEndpoint(address) else { return }
        let client = RedisClient(loop: loop, endpoint: endpoint, scripts: StoreScripts.all)
        let keys = Keyspace(namespace: "", shards: 64)
        self.client = client
        inbox = Inbox(client, keys)
        router = RedisRouter(client, keys)
        await withCheckedContinuation { done in
            var waiting: CheckedContinuation<Void, Never>? = done
            client.onState = { state in
                if state == .up {
                    waiting?.resume()
                    waiting = nil
                }
            }
            client.start()
        }
    }

    var isUp: Bool { client?.isUp == true }

    func stop() {
        client?.close()
        loop.stop()
    }

    /// Appends notifications with these titles and, unless told not to, publishes them in one batch a gateway. `urgent`: behind
    /// them, of high priority.
    @discardableResult
    func deliver(
        _ titles: [String], to person: String, publishes: Bool = true, priority: String = "normal", accepted: Int64 = 1,
        urgent: [String] = []
    ) async throws -> Delivered {
        let id = try #require(PersonID(person))
        let inbox = try #require(inbox)
        let router = try #require(router)
        let deliveries =
            titles.map { delivery($0, priority: priority, accepted: accepted) }
            + urgent.map { delivery($0, priority: "high", accepted: accepted) }
        let delivered: Delivered = try await withCheckedThrowingContinuation { done in
            inbox.deliver(deliveries, to: id) { done.resume(with: $0.mapError { $0 as any Error }) }
        }
        guard publishes else { return delivered }
        let routes = delivered.routes.compactMap { ConnectionID(String(decoding: $0, as: UTF8.self)) }
        for instance in Set(routes.map(\.instance)) {
            var batch = GatewayBatch()
            for (delivery, entry) in zip(deliveries, delivered.entries) {
                let position = StreamPosition(epoch: delivered.epoch, offset: entry.offset)
                for route in routes where route.instance == instance {
                    batch.recipient(
                        LocalConnection(index: route.index, generation: route.generation), position, accepted: accepted,
                        priority: delivery.priority)
                }
                batch.end(delivery.bytes, delivery.bytes.indices)
            }
            try await publish(batch.take(), to: instance, router)
        }
        return delivered
    }

    func delivery(_ title: String, priority: String = "normal", accepted: Int64 = 1) -> Delivery {
        number += 1
        var digest = [UInt8](repeating: 0, count: 16)
        for index in 0..<8 { digest[index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
        let notification = NotificationID(digest: digest)
        return Delivery(
            id: notification, accepted: accepted, priority: Priority(rawValue: priority),
            bytes: Array(#"{"id":"\#(notification)","type":"test","priority":"\#(priority)","title":"\#(title)"}"#.utf8))
    }

    private func publish(_ lines: [UInt8], to instance: InstanceID, _ router: RedisRouter) async throws {
        let _: Published = try await withCheckedThrowingContinuation { done in
            router.publish(lines, to: instance) { done.resume(with: $0.mapError { $0 as any Error }) }
        }
    }

    /// Reads all that a person has, and tells nobody.
    func read(_ person: String) async throws {
        let id = try #require(PersonID(person))
        let inbox = try #require(inbox)
        let page: InboxPage = try await withCheckedThrowingContinuation { done in
            inbox.page(of: id, from: .present, limit: 1) { done.resume(with: $0.mapError { $0 as any Error }) }
        }
        let _: Marked = try await withCheckedThrowingContinuation { done in
            inbox.markRead(.upTo(page.state.position), of: id) { done.resume(with: $0.mapError { $0 as any Error }) }
        }
    }

    /// Publishes lines as they are.
    func publish(_ text: String, to instance: String) async throws {
        try await publish(Array(text.utf8), to: try #require(InstanceID(instance)), try #require(router))
    }
}
