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
    private let witness: Witness

    init(
        _ server: RedisServer, limits: InboxLimits = InboxLimits(), namespace: String = "", shards: Int = 64,
        witness: Witness = Witness()
    ) {
        self.witness = witness
        loop = EventLoop(name: "store")
        loop.start()
        endpoint = RedisEndpoint(host: "127.0.0.1", port: server.port)
        self.limits = limits
        keys = Keyspace(namespace: namespace, shards: shards)
    }

    typealias Answer<Value> = (Result<Value, StoreError>) -> Void

    /// Starts, and waits for the first state.
    func start() async -> RedisState {
        await withCheckedContinuation { done in
            let client = RedisClient(
                loop: loop, endpoint: endpoint, scripts: StoreScripts.all, checks: [keys.shardsCheck, witness.check(keys)])
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

    func ask<Value: Sendable>(_ send: (RedisClient, Keyspace, @escaping Answer<Value>) -> Void) async throws -> Value {
        guard let client else { throw StoreError.outage("not started") }
        return try await withCheckedThrowingContinuation { done in
            send(client, keys) { done.resume(with: $0) }
        }
    }

    func inbox<Value: Sendable>(_ call: (Inbox, @escaping Answer<Value>) -> Void) async throws -> Value {
        try await ask { call(Inbox($0, $1, limits: limits, witness: witness), $2) }
    }
    func deliver(_ deliveries: [Delivery], to person: PersonID) async throws -> Delivered {
        try await ask { Inbox($0, $1, limits: limits, witness: witness).deliver(deliveries, to: person, reply: $2) }
    }
    func page(of person: PersonID, from start: InboxStart, limit: Int, bytes: Int = 1 << 20) async throws -> InboxPage {
        try await ask {
            Inbox($0, $1, limits: limits, witness: witness).page(of: person, from: start, limit: limit, bytes: bytes, reply: $2)
        }
    }
    func register(_ connection: ConnectionID, of person: PersonID, from start: InboxStart = .present) async throws -> InboxPage {
        try await ask {
            Routes($0, $1, witness: witness).register(
                connection, of: person, device: "phone", transport: .websocket, from: start, limit: 100, reply: $2)
        }
    }
    func unregister(_ connection: ConnectionID, of person: PersonID) async throws -> Int {
        try await ask { Routes($0, $1, witness: witness).unregister(connection, of: person, reply: $2) }
    }
    func sweep(_ instance: InstanceID, shard: Int, limit: Int = 500) async throws -> Int {
        try await ask { Routes($0, $1, witness: witness).sweep(instance, shard: shard, limit: limit, reply: $2) }
    }
    func connections(of people: [PersonID]) async throws -> [Int] {
        try await ask { Routes($0, $1, witness: witness).connections(of: people, reply: $2) }
    }
    func gateway<Value: Sendable>(_ call: (Gateways, @escaping Answer<Value>) -> Void) async throws -> Value {
        try await ask { call(Gateways($0, $1, witness: witness), $2) }
    }
    func router<Value: Sendable>(_ call: (RedisRouter, @escaping Answer<Value>) -> Void) async throws -> Value {
        try await ask { call(RedisRouter($0, $1), $2) }
    }
    func audience<Value: Sendable>(_ call: (Audiences, @escaping Answer<Value>) -> Void) async throws -> Value {
        try await ask { call(Audiences($0, $1), $2) }
    }
    func channel<Value: Sendable>(
        limits: ChannelLimits = ChannelLimits(), _ call: (ChannelStreams, @escaping Answer<Value>) -> Void
    ) async throws -> Value {
        try await ask { call(ChannelStreams($0, $1, limits: limits, witness: witness), $2) }
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

@Suite(.blocking) struct InboxTests {
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

@Suite(.blocking) struct InboxEdgeTests {
    let bob = PersonID("bob")!

    @Test func repeatsAreKnownAcrossTwoBuckets() async throws {
        let server = try RedisServer()
        var limits = InboxLimits()
        limits.dedupWindow = 250
        let store = TestStore(server, limits: limits)
        #expect(await store.start() == .up)
        // For as long as one window, whatever the moment, a repetition is known.
        for number in 1...30 {
            let start = ContinuousClock.now
            let first = try await store.deliver([delivery(number)], to: bob)
            #expect(first.entries[0].isFresh)
            try await Task.sleep(for: .milliseconds(number * 2))
            let again = try await store.deliver([delivery(number)], to: bob)
            if ContinuousClock.now - start < .milliseconds(250) {
                #expect(again.entries == [.init(isFresh: false, offset: first.entries[0].offset)])
            }
        }
        // Afterwards what was seen goes with what is seen then.
        for number in 31...32 {
            try await Task.sleep(for: .milliseconds(510))
            _ = try await store.deliver([delivery(number)], to: bob)
        }
        #expect(try server.cli("KEYS", "seen:*").split(separator: "\n").count == 1)
        await store.stop()
    }

    @Test func trimsByAgeAndMovesTheFloor() async throws {
        let server = try RedisServer()
        var limits = InboxLimits()
        limits.maxAge = 150
        let store = TestStore(server, limits: limits)
        #expect(await store.start() == .up)
        let first = try await store.deliver((1...40).map(delivery), to: bob)
        let start = ContinuousClock.now
        while ContinuousClock.now - start < .milliseconds(200) { try await Task.sleep(for: .milliseconds(10)) }
        #expect(try await store.page(of: bob, from: .floor, limit: 100).entries.count == 40)
        let after = try await store.deliver([delivery(41)], to: bob)
        #expect(after.unread == 1 && after.entries[0].offset == 41)
        let page = try await store.page(of: bob, from: .floor, limit: 100)
        #expect(page.state.floor == 41 && page.entries.map(\.offset) == [41] && page.recovered)
        let lost = try await store.page(of: bob, from: .after(StreamPosition(epoch: first.epoch, offset: 39)), limit: 10)
        #expect(!lost.recovered && lost.entries.isEmpty && lost.end == lost.state.position)
        #expect(try await store.page(of: bob, from: .after(StreamPosition(epoch: first.epoch, offset: 40)), limit: 10).recovered)
        await store.stop()
    }

    @Test func stepsOverWhatWasDeleted() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let epoch = try await store.deliver((1...6).map(delivery), to: bob).epoch
        let key = try server.cli("KEYS", "inbox:*bob")
        for offset in [1, 3, 6] { try server.cli("XDEL", key, "\(epoch)-\(offset)") }
        let page = try await store.page(of: bob, from: .after(StreamPosition(epoch: epoch, offset: 0)), limit: 2)
        #expect(page.recovered && !page.isComplete && page.entries.map(\.offset) == [2, 4] && page.end.offset == 4)
        let rest = try await store.page(of: bob, from: .after(page.end), limit: 2)
        #expect(rest.entries.map(\.offset) == [5] && rest.isComplete && rest.end.offset == 6)
        await store.stop()
    }

    @Test func aPageEndsByBytes() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let large = (1...30).map {
            Delivery(id: notificationID($0), accepted: 1, bytes: [UInt8](repeating: 120, count: 10_000))
        }
        _ = try await store.deliver(large, to: bob)
        var position = InboxStart.floor
        var sizes: [Int] = []
        var offsets: [UInt64] = []
        while true {
            let page = try await store.page(of: bob, from: position, limit: 1_000, bytes: 50_000)
            sizes.append(page.entries.count)
            offsets += page.entries.map(\.offset)
            if page.isComplete { break }
            position = .after(page.end)
        }
        #expect(offsets == Array(1...30))
        #expect(sizes.allSatisfy { $0 <= 5 })
        // One that is larger than the budget still passes, alone.
        #expect(try await store.page(of: bob, from: .floor, limit: 10, bytes: 1).entries.count == 1)
        await store.stop()
    }

    @Test func anotherEpochIsLost() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let zero = InboxStart.after(StreamPosition(epoch: 0, offset: 0))
        let empty = try await store.page(of: bob, from: zero, limit: 10)
        #expect(empty.recovered && empty.state == InboxState(epoch: 0, offset: 0, floor: 1, unread: 0))
        #expect(try await store.page(of: bob, from: .after(StreamPosition(epoch: 7, offset: 0)), limit: 10).recovered == false)
        let epoch = try await store.deliver((1...3).map(delivery), to: bob).epoch
        #expect(try await store.page(of: bob, from: zero, limit: 10).entries.count == 3)
        for position in [StreamPosition(epoch: epoch + 1, offset: 1), StreamPosition(epoch: epoch, offset: 4)] {
            let page = try await store.page(of: bob, from: .after(position), limit: 10)
            #expect(!page.recovered && page.entries.isEmpty)
        }
        // The state is lost and the stream is not: the ids go on growing, and what was seen in the lost epoch is delivered again.
        try server.cli("DEL", try server.cli("KEYS", "inbox:*:state"))
        let again = try await store.deliver([delivery(2)], to: bob)
        #expect(again.epoch > epoch && again.entries == [.init(isFresh: true, offset: 1)] && again.unread == 1)
        let page = try await store.page(of: bob, from: .floor, limit: 10)
        #expect(page.entries.map(\.offset) == [1])
        await store.stop()
    }

    @Test func whatFailsWritesNothing() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        _ = try await store.deliver([delivery(1)], to: bob)
        let keys = try server.cli("KEYS", "*bob*").split(separator: "\n").map(String.init).sorted()
        let seen = try #require(keys.first { $0.hasPrefix("seen") })
        let dump = try server.cli("HGETALL", keys.first { $0.hasSuffix(":state") }!)
        func fails(_ key: String) async throws {
            await #expect(throws: StoreError.self) { _ = try await store.deliver([delivery(2)], to: bob) }
            try server.cli("DEL", key)
        }
        try server.cli("SET", "routes:" + seen.split(separator: ":")[1...2].joined(separator: ":"), "x")
        try await fails("routes:" + seen.split(separator: ":")[1...2].joined(separator: ":"))
        try server.cli("RENAME", seen, "kept")
        try server.cli("SET", seen, "x")
        try await fails(seen)
        try server.cli("RENAME", "kept", seen)
        try server.cli("CONFIG", "SET", "maxmemory", "1")
        do {
            _ = try await store.deliver([delivery(2)], to: bob)
            #expect(Bool(false), "not refused")
        } catch let error as StoreError {
            #expect(error.isOutage)
        }
        try server.cli("CONFIG", "SET", "maxmemory", "0")
        #expect(try server.cli("HGETALL", keys.first { $0.hasSuffix(":state") }!) == dump)
        let page = try await store.page(of: bob, from: .floor, limit: 10)
        #expect(page.entries.count == 1)
        let after = try await store.deliver([delivery(2)], to: bob)
        #expect(after.entries == [.init(isFresh: true, offset: 2)])
        await store.stop()
    }
}
