import EventLoop
import Models
import Redis
import Store
import TestSupport
import Testing

/// A store on a loop, for tests: callbacks become `await`.
actor TestStore: LoopActor {
    nonisolated let loop: EventLoop
    private var client: RedisClient?
    private let endpoint: RedisEndpoint
    private let limits: InboxLimits
    private let keys: Keyspace

    init(_ server: RedisServer, limits: InboxLimits = InboxLimits(), namespace: String = "", shards: Int = 64) {
        loop = EventLoop(name: "store")
        loop.start()
        endpoint = RedisEndpoint(host: "127.0.0.1", port: server.port)
        self.limits = limits
        keys = Keyspace(namespace: namespace, shards: shards)
    }

    typealias Answer<Value> = (Result<Value, RedisError>) -> Void

    /// Starts, and waits for the first state.
    func start() async -> RedisState {
        await withCheckedContinuation { done in
            let client = RedisClient(
                loop: loop, endpoint: endpoint, scripts: StoreScripts.all, checks: [keys.shardsCheck])
            self.client = client
            client.onState = { state in
                client.onState = nil
                done.resume(returning: state)
            }
            client.start()
        }
    }

    func stop() {
        client?.close()
        loop.stop()
    }

    private func ask<Value: Sendable>(_ send: (RedisClient, Keyspace, @escaping Answer<Value>) -> Void) async throws -> Value {
        guard let client else { throw RedisError.unavailable }
        return try await withCheckedThrowingContinuation { done in
            send(client, keys) { done.resume(with: $0) }
        }
    }

    func deliver(_ deliveries: [Delivery], to person: PersonID) async throws -> Delivered {
        try await ask { Inbox($0, $1, limits: limits).deliver(deliveries, to: person, reply: $2) }
    }
    func page(of person: PersonID, from start: InboxStart, limit: Int, bytes: Int = 1 << 20) async throws -> InboxPage {
        try await ask { Inbox($0, $1, limits: limits).page(of: person, from: start, limit: limit, bytes: bytes, reply: $2) }
    }
    func register(_ connection: ConnectionID, of person: PersonID, from start: InboxStart = .present) async throws -> InboxPage {
        try await ask {
            Routes($0, $1).register(
                connection, of: person, device: "phone", transport: .websocket, from: start, limit: 100, reply: $2)
        }
    }
    func unregister(_ connection: ConnectionID, of person: PersonID) async throws -> Int {
        try await ask { Routes($0, $1).unregister(connection, of: person, reply: $2) }
    }
    func sweep(_ instance: InstanceID, shard: Int, limit: Int = 500) async throws -> Int {
        try await ask { Routes($0, $1).sweep(instance, shard: shard, limit: limit, reply: $2) }
    }
    func connections(of people: [PersonID]) async throws -> [Int] {
        try await ask { Routes($0, $1).connections(of: people, reply: $2) }
    }
    func gateway<Value: Sendable>(_ call: (Gateways, @escaping Answer<Value>) -> Void) async throws -> Value {
        try await ask { call(Gateways($0, $1), $2) }
    }
    func audience<Value: Sendable>(_ call: (Audiences, @escaping Answer<Value>) -> Void) async throws -> Value {
        try await ask { call(Audiences($0, $1), $2) }
    }
    func device<Value: Sendable>(_ call: (Devices, @escaping Answer<Value>) -> Void) async throws -> Value {
        try await ask { call(Devices($0, $1), $2) }
    }
    func ticket<Value: Sendable>(_ call: (Tickets, @escaping Answer<Value>) -> Void) async throws -> Value {
        try await ask { call(Tickets($0, $1), $2) }
    }
}

func notificationID(_ number: Int) -> NotificationID {
    NotificationID(digest: (0..<16).map { UInt8(truncatingIfNeeded: number >> (8 * ($0 % 4))) })
}

func delivery(_ number: Int) -> Delivery {
    Delivery(id: notificationID(number), accepted: Int64(1_000 + number), bytes: Array("{\"number\":\(number)}".utf8))
}

@Suite struct InboxTests {
    let bob = PersonID("acme/bob")!

    @Test func deliversInOrderAndKnowsWhatItHasSeen() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let first = try await store.deliver([delivery(1), delivery(2)], to: bob)
        #expect(first.entries == [.init(isFresh: true, offset: 1), .init(isFresh: true, offset: 2)])
        #expect(first.unread == 2)
        #expect(first.routes.isEmpty)
        let again = try await store.deliver([delivery(2), delivery(3), delivery(3), delivery(1)], to: bob)
        #expect(again.entries.map(\.offset) == [2, 3, 3, 1])
        #expect(again.entries.map(\.isFresh) == [false, true, false, false])
        #expect(again.unread == 3)
        #expect(again.epoch == first.epoch)

        let page = try await store.page(of: bob, from: .after(StreamPosition(epoch: first.epoch, offset: 1)), limit: 10)
        #expect(page.recovered && page.isComplete)
        #expect(page.entries.map(\.offset) == [2, 3])
        #expect(page.entries.map(\.bytes) == [delivery(2).bytes, delivery(3).bytes])
        #expect(page.entries.map(\.accepted) == [1_002, 1_003])
        #expect(page.entries.allSatisfy { $0.appended >= Int64(first.epoch) })
        #expect(page.state == InboxState(epoch: first.epoch, offset: 3, floor: 1, unread: 3))
        await store.stop()
    }
}
