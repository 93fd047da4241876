import EventLoop
import Foundation
import TestSupport
import Testing

@testable import Redis

private actor Listener: LoopActor {
    nonisolated let loop: EventLoop
    private var subscriber: RedisSubscriber?
    private(set) var messages: [String] = []
    private(set) var states: [RedisState] = []
    private let port: Int

    init(_ server: RedisServer) {
        loop = EventLoop(name: "subscriber")
        loop.start()
        port = server.port
    }

    func start(_ channel: String) {
        var limits = RedisLimits()
        limits.commandTimeout = .seconds(4)
        limits.idlePing = .milliseconds(100)
        limits.reconnectLimit = .milliseconds(100)
        let subscriber = RedisSubscriber(
            loop: loop, endpoint: RedisEndpoint(host: "127.0.0.1", port: port), limits: limits, channel: channel)
        self.subscriber = subscriber
        subscriber.onMessage = { message in self.messages.append(String(decoding: message, as: UTF8.self)) }
        subscriber.onState = { state in self.states.append(state) }
        subscriber.start()
    }

    func stop() {
        subscriber?.close()
        loop.stop()
    }

    func hears(_ count: Int) async -> Bool {
        for _ in 0..<12_000 where messages.count < count { try? await Task.sleep(for: .milliseconds(5)) }
        return messages.count >= count
    }
    func reaches(_ count: Int) async -> Bool {
        for _ in 0..<12_000 where states.count < count { try? await Task.sleep(for: .milliseconds(5)) }
        return states.count >= count
    }
}

@Suite(.blocking, .serialized) struct RedisSubscriberTests {
    @Test func hearsAndComesBack() async throws {
        let server = try RedisServer()
        let listener = Listener(server)
        await listener.start("gateway:{a}")
        #expect(await listener.reaches(1))
        #expect(try server.cli("SPUBLISH", "gateway:{a}", "one") == "1")
        #expect(try server.cli("SPUBLISH", "gateway:{b}", "not for us") == "0")
        #expect(await listener.hears(1))
        // A dead link sends nothing: only the ping notices.
        server.suspend()
        #expect(await listener.reaches(2))
        server.resume()
        #expect(await listener.reaches(3))
        try server.cli("SPUBLISH", "gateway:{a}", "two")
        #expect(await listener.hears(2))
        server.stop()
        #expect(await listener.reaches(4))
        try server.start()
        #expect(await listener.reaches(5))
        try server.cli("SPUBLISH", "gateway:{a}", "three")
        #expect(await listener.hears(3))
        #expect(await listener.messages == ["one", "two", "three"])
        let states = await listener.states
        #expect(states.indices.allSatisfy { (states[$0] == .up) == ($0 % 2 == 0) })
        await listener.stop()
    }
}
