import EventLoop
import Models
import Redis
import Store
import StoreTestSupport
import Synchronization
import TestSupport
import Testing

/// What a contract runs on.
enum StoreKind: String, CaseIterable, Sendable {
    case redis
    /// One node that owns all slots: it refuses a script whose keys lie in two.
    case redisCluster
    case memory
}

/// How the calls that touch inbox and routes are made.
enum StoreForm: String, CaseIterable, Sendable {
    /// In one step.
    case combined
    case apart

    /// The forms in which each store can be had.
    static let all: [(StoreKind, StoreForm)] = [
        (.redis, .combined), (.redis, .apart), (.redisCluster, .combined), (.redisCluster, .apart), (.memory, .apart),
    ]
}

/// The borders of one store.
struct Borders {
    let inbox: any InboxStore
    let routes: any RouteRegistry
    let leases: any LeaseRegistry
    let watchers: any WatcherRegistry
    let combined: any CombinedStore
    let router: any Router

    /// Publishes a batch for an instance; answers its number.
    func number(_ instance: InstanceID, _ reply: @escaping (Result<UInt64, StoreError>) -> Void) {
        router.publish(Array("{}\n".utf8), to: instance) { reply($0.map(\.sequence)) }
    }
}

/// Pauses that follow from the run's seed.
private final class Delays: Sendable {
    private let random = Mutex(SeededGenerator(seed: TestSeed.announced("late routes")))
    func next() -> Int { random.withLock { Int.random(in: 0...4, using: &$0) } }
}

/// Routes whose setting and reading reach the store late, each by its own few milliseconds: two stores that are apart keep no
/// order between their calls.
private struct LateRoutes: RouteRegistry {
    let routes: any RouteRegistry
    let loop: EventLoop
    private let delays = Delays()

    init(routes: any RouteRegistry, loop: EventLoop) {
        self.routes = routes
        self.loop = loop
    }

    private func late(_ call: @escaping () -> Void) { loop.timer(after: .milliseconds(delays.next()), call) }

    func add(
        _ connection: ConnectionID, of person: PersonID, device: String, transport: Transport,
        reply: @escaping (Result<Void, StoreError>) -> Void
    ) {
        late { routes.add(connection, of: person, device: device, transport: transport, reply: reply) }
    }
    func routes(of person: PersonID, reply: @escaping (Result<[[UInt8]], StoreError>) -> Void) {
        late { routes.routes(of: person, reply: reply) }
    }
    func unregister(_ connection: ConnectionID, of person: PersonID, reply: @escaping (Result<Int, StoreError>) -> Void) {
        routes.unregister(connection, of: person, reply: reply)
    }
    func connections(of people: [PersonID], reply: @escaping (Result<[Int], StoreError>) -> Void) {
        routes.connections(of: people, reply: reply)
    }
    func sweep(_ instance: InstanceID, shard: Int, limit: Int, reply: @escaping (Result<Int, StoreError>) -> Void) {
        routes.sweep(instance, shard: shard, limit: limit, reply: reply)
    }
}

/// A store of any kind on a loop: callbacks become `await`.
actor ContractStore: LoopActor {
    nonisolated let loop: EventLoop
    let server: RedisServer?
    private let limits: InboxLimits
    private var client: RedisClient?
    private var borders: Borders?

    /// Starts it, with its server if it has one, and waits until it is up.
    init(_ kind: StoreKind, _ form: StoreForm = .apart, limits: InboxLimits = InboxLimits()) async throws {
        loop = EventLoop(name: "contract")
        loop.start()
        self.limits = limits
        switch kind {
        case .memory: server = nil
        case .redis: server = try RedisServer()
        case .redisCluster: server = try await Self.clusterNode()
        }
        if let server { try await connect(server, form) } else { borders = Self.memory(loop, limits) }
    }

    /// A node of a cluster of one.
    static func clusterNode() async throws -> RedisServer {
        // Held while the server starts, and for it alone: its bus would take the port 10,000 above its own, which may be none.
        let bus = try HeldPort()
        let server = try RedisServer(options: ["--cluster-enabled", "yes", "--cluster-port", "\(bus.number)"])
        try server.cli("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        let deadline = ContinuousClock.now + .seconds(30)
        while try !server.cli("CLUSTER", "INFO").contains("cluster_state:ok"), ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        return server
    }

    private static func memory(_ loop: EventLoop, _ limits: InboxLimits) -> Borders {
        let store = MemoryStore(loop: loop, limits: limits)
        return Borders(
            inbox: store, routes: store, leases: store, watchers: store,
            combined: ApartStore(inbox: store, routes: LateRoutes(routes: store, loop: loop)),
            router: store.router)
    }

    private func connect(_ server: RedisServer, _ form: StoreForm) async throws {
        let keys = Keyspace(namespace: "contract", shards: 64)
        let witness = Witness()
        let state = await withCheckedContinuation { done in
            let client = RedisClient(
                loop: loop, endpoint: RedisEndpoint(host: "127.0.0.1", port: server.port), scripts: StoreScripts.all,
                checks: [keys.shardsCheck, witness.check(keys)])
            self.client = client
            client.onState = { state in
                client.onState = nil
                done.resume(returning: state)
            }
            client.start()
        }
        try #require(state == .up)
        let client = try #require(client)
        let inbox = Inbox(client, keys, limits: limits, witness: witness)
        let routes = Routes(client, keys, witness: witness)
        let gateways = Gateways(client, keys, witness: witness)
        borders = Borders(
            inbox: inbox, routes: routes, leases: gateways, watchers: ChannelStreams(client, keys, witness: witness),
            combined: form == .combined ? inbox : ApartStore(inbox: inbox, routes: LateRoutes(routes: routes, loop: loop)),
            router: RedisRouter(client, keys))
    }

    func stop() {
        client?.close()
        loop.stop()
    }

    func ask<Value: Sendable>(
        _ call: (Borders, @escaping (Result<Value, StoreError>) -> Void) -> Void
    ) async throws -> Value {
        guard let borders else { throw StoreError.outage("not started") }
        return try await withCheckedThrowingContinuation { done in call(borders) { done.resume(with: $0) } }
    }

    /// The same, after so many milliseconds.
    func ask<Value: Sendable>(
        after pause: Int, _ call: @escaping @Sendable (Borders, @escaping (Result<Value, StoreError>) -> Void) -> Void
    ) async throws -> Value {
        guard let borders else { throw StoreError.outage("not started") }
        return try await withCheckedThrowingContinuation { done in
            loop.timer(after: .milliseconds(pause)) { call(borders) { done.resume(with: $0) } }
        }
    }
}
