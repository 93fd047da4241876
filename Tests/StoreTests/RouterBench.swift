import EventLoop
import Foundation
import Models
import Settings
import Store
import StoreTestSupport
import TestSupport
import Testing

/// The implementations of `Router`.
enum RouterKind: CaseIterable, Sendable {
    case redis, memory
}

/// A router on a loop of its own, with what begins and ends an instance's numbers, and ears that note what they hear.
actor RouterBench: LoopActor {
    nonisolated let loop: EventLoop
    private let server: RedisServer?
    private var store: StoreConnection?
    private var memory: MemoryRouter?
    private var subscriptions: [any BatchSubscription] = []
    private(set) var heard: [[String]] = []
    private(set) var states: [[StoreState]] = []

    struct NotUp: Error {}

    init(_ kind: RouterKind) async throws {
        loop = EventLoop(name: "router")
        loop.start()
        server = kind == .redis ? try RedisServer() : nil
        try await open()
    }

    private func open() async throws {
        guard let server else {
            memory = MemoryRouter(loop: loop)
            return
        }
        let settings = try RedisSettings(Environment(["REDIS_URL": server.url, "REDIS_COMMAND_TIMEOUT": "5s"]))
        let store = try StoreConnection(loop: loop, settings: settings, namespace: "ns")
        self.store = store
        let state = await withCheckedContinuation { done in
            store.onState = { state in
                store.onState = nil
                done.resume(returning: state)
            }
            store.start()
        }
        guard state == .up else { throw NotUp() }
    }

    func stop() {
        for subscription in subscriptions { subscription.close() }
        store?.close()
        loop.stop()
        server?.stop()
    }

    private var router: any Router {
        get throws {
            if let memory { return memory }
            guard let store else { throw NotUp() }
            return store.router
        }
    }

    // MARK: Leases

    private func call<Value: Sendable>(
        _ send: (Gateways, @escaping (Result<Value, StoreError>) -> Void) -> Void
    ) async throws -> Value {
        guard let store else { throw NotUp() }
        return try await withCheckedThrowingContinuation { done in send(store.gateways) { done.resume(with: $0) } }
    }

    func begin(_ instance: InstanceID) async throws {
        if let memory { return memory.begin(instance) }
        try await call { $0.enrol(instance, reply: $1) }
    }

    func end(_ instance: InstanceID) async throws {
        if let memory { return memory.end(instance) }
        try await call { $0.withdraw(instance, reply: $1) }
    }

    func latest(of instance: InstanceID) async throws -> UInt64? {
        if let memory { return memory.latest(of: instance) }
        switch try await call({ $0.renew(instance, reply: $1) }) {
        case .gone: return nil
        case .renewed(_, let sequence): return sequence
        }
    }

    // MARK: Batches

    func publish(_ text: String, to instance: InstanceID) async throws -> Published {
        let router = try router
        return try await withCheckedThrowingContinuation { done in
            router.publish(Array(text.utf8), to: instance) { done.resume(with: $0) }
        }
    }

    /// Publishes all of them within one turn of the loop. Answers the replies in their order, and how many came within a call.
    func publish(_ texts: [String], to instance: InstanceID) async throws -> (replies: [Published?], early: Int) {
        let router = try router
        var replies: [Published?] = []
        var early = 0
        await withCheckedContinuation { done in
            for text in texts {
                let before = replies.count
                router.publish(Array(text.utf8), to: instance) { result in
                    replies.append(try? result.get())
                    if replies.count == texts.count { done.resume() }
                }
                early += replies.count - before
            }
        }
        return (replies, early)
    }

    // MARK: Ears

    /// Subscribes, and answers the ear's place.
    func listen(to instance: InstanceID) throws -> Int {
        let subscription = try router.subscription(to: instance)
        let place = subscriptions.count
        subscriptions.append(subscription)
        heard.append([])
        states.append([])
        subscription.onBatch = { self.heard[place].append(String(decoding: $0, as: UTF8.self)) }
        subscription.onState = { self.states[place].append($0) }
        subscription.start()
        return place
    }

    func isUp(_ ear: Int) -> Bool { subscriptions[ear].isUp }
    func close(_ ear: Int) { subscriptions[ear].close() }
    func probe(_ ear: Int) { subscriptions[ear].probe() }

    /// The numbers that an ear has heard.
    func numbers(_ ear: Int) throws -> [UInt64] {
        try heard[ear].map { text in
            var at = 0
            return try GatewayMessage.head(Array(text.utf8).span, &at).sequence
        }
    }

    // MARK: Outages

    func goAway() {
        memory?.isAway = true
        server?.stop()
    }

    func comeBack() throws {
        memory?.isAway = false
        try server?.start()
    }

    /// Whether it comes to be so before long.
    nonisolated func comes(_ holds: @Sendable (isolated RouterBench) throws -> Bool) async throws -> Bool {
        let deadline = Date() + 60
        while Date() < deadline {
            if try await holds(self) { return true }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }
}
