import EventLoop
import Models
import Store
import StoreTestSupport
import Testing

@testable import PresenceService

/// Sweeps of a store in memory: no server.
private actor Stage: LoopActor {
    nonisolated let loop = EventLoop(name: "sweep")
    private lazy var store = MemoryStore(loop: loop)
    private(set) var told: [(instance: InstanceID, lines: String)] = []
    private var sweep: Sweep?
    private var ears: [any BatchSubscription] = []

    init() { loop.start() }

    /// Notes what the instance is told.
    func listen(to instance: InstanceID) {
        let ear = store.router.subscription(to: instance)
        ear.onBatch = { self.told.append((instance, String(decoding: $0, as: UTF8.self))) }
        ear.start()
        ears.append(ear)
    }

    func stop() { loop.stop() }

    func fails(with error: StoreError?) { store.failure = error }

    func ask<Value: Sendable>(
        _ call: (MemoryStore, @escaping (Result<Value, StoreError>) -> Void) -> Void
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { done in call(store) { done.resume(with: $0) } }
    }

    /// Sweeps to its end; answers how many routes went.
    /// - Parameter between: what a gateway does that was only asleep, after the first pass.
    func sweep(_ instance: InstanceID, between: (@Sendable (MemoryStore) -> Void)? = nil) async -> Result<Int, StoreError> {
        if let between { loop.timer(after: .milliseconds(20)) { between(self.store) } }
        return await withCheckedContinuation { done in
            let sweep = Sweep(
                loop: loop, routes: store, gateways: store, router: store.router, channels: store, shards: 64,
                pause: .milliseconds(200), instance: instance
            ) { done.resume(returning: $0) }
            self.sweep = sweep
            sweep.start()
        }
    }
}

@Suite struct SweepTests {
    private let dead = InstanceID(name: "gateway-1", epoch: 1)!
    private let live = InstanceID(name: "gateway-2", epoch: 2)!
    private let room = ChannelID("room")!

    private func connection(_ instance: InstanceID, _ index: UInt32) -> ConnectionID {
        ConnectionID(instance: instance, index: index, generation: 1)
    }

    private func watcher(_ instance: InstanceID, _ index: UInt32, _ person: String) -> Watcher {
        Watcher(connection: connection(instance, index), person: PersonID(person)!, info: Array("{\"of\":\"\(person)\"}".utf8))
    }

    private func filled() async throws -> Stage {
        let stage = Stage()
        for instance in [dead, live] {
            try await stage.ask { $0.enrol(instance, reply: $1) } as Void
            await stage.listen(to: instance)
        }
        for index in 0..<1_200 as Range<UInt32> {
            let person = PersonID("p\(index)")!
            try await stage.ask {
                $0.add(connection(dead, index), of: person, device: "d", transport: .sse, reply: $1)
            } as Void
        }
        try await stage.ask {
            $0.add(connection(live, 1), of: PersonID("p7")!, device: "d", transport: .sse, reply: $1)
        } as Void
        for (instance, person) in [(dead, "ann"), (live, "bob")] {
            let count = WatcherCount(watchers: 1, listeners: 1)
            _ = try await stage.ask { $0.watch(room, at: instance, [watcher(instance, 1, person)], count: count, reply: $1) }
        }
        return stage
    }

    @Test func takesWhatTheDeadOwnedAndTellsWhoListens() async throws {
        let stage = try await filled()
        #expect(await stage.sweep(dead) == .success(1_200))
        let left = try await stage.ask { $0.connections(of: [PersonID("p7")!, PersonID("p8")!], reply: $1) }
        #expect(left == [1, 0])
        #expect(try await stage.ask { $0.leases(reply: $1) } == [Lease(instance: live, count: 0)])
        let here = try await stage.ask { $0.presence(of: room, limit: 10, reply: $1) }
        #expect(here.clients == 1 && here.people == 1)
        let told = await stage.told
        #expect(told.count == 1 && told[0].instance == live && told[0].lines.contains(#"{"of":"ann"}"#))
        await stage.stop()
    }

    /// A gateway that was only asleep registers somebody as it is condemned: the second pass finds the route.
    @Test func theSecondPassFindsWhatCameBetween() async throws {
        let stage = try await filled()
        let late = connection(dead, 9_000)
        let swept = await stage.sweep(dead) {
            $0.add(late, of: PersonID("late")!, device: "d", transport: .sse) { _ in }
        }
        #expect(swept == .success(1_201))
        #expect(try await stage.ask { $0.connections(of: [PersonID("late")!], reply: $1) } == [0])
        await stage.stop()
    }

    /// The lease goes last: what an outage has interrupted is found by it, and swept again.
    @Test func anOutageLeavesTheLease() async throws {
        let stage = try await filled()
        await stage.fails(with: .outage("away"))
        #expect(await stage.sweep(dead) == .failure(.outage("away")))
        await stage.fails(with: nil)
        #expect(Set(try await stage.ask { $0.leases(reply: $1) }.map(\.instance)) == [dead, live])
        #expect(await stage.sweep(dead) == .success(1_200))
        await stage.stop()
    }
}
