public import EventLoop
import HTTP
import Redis
public import ServiceRuntime
import Settings
import Store

/// Says who is online, and sweeps what dead gateways leave behind.
public actor PresenceService: Service {
    public static let name = "presence-service"
    public static let summary =
        "Answers who is online, and removes the connections of gateways that are dead. Several may run at once."

    public nonisolated let loop: EventLoop
    private let settings: PresenceSettings
    private let server: HTTPServer
    private let router: RESTRouter
    private let client: RedisClient
    private let routes: Routes
    private let sweeper: Sweeper
    private let redis: DependencySource

    public init(context: ServiceContext<PresenceSettings>) throws {
        loop = context.loop
        settings = context.settings
        let keys = Keyspace(namespace: context.process.namespace, shards: settings.redis.shards)
        client = RedisClient(
            loop: context.loop, endpoint: try RedisEndpoint(settings.redis), limits: RedisLimits(settings.redis),
            scripts: StoreScripts.all, checks: [keys.shardsCheck], writable: keys.shardsKey)
        routes = Routes(client, keys)
        sweeper = Sweeper(
            loop: context.loop, client: client, keys: keys, leaseLength: settings.leaseLength, log: context.log,
            metrics: context.metrics)
        redis = context.dependencies.source(.redis)
        var limits = HTTPLimits()
        limits.bodyBytes = PresenceQuery.bodyLimit(maximum: context.settings.maxUsers)
        server = try context.serve(limits: limits)
        router = RESTRouter(context, apiKey: settings.apiKey)
    }

    public func start() async throws {
        router.on("GET", "/v1/presence", .apiKey) { call in self.answer(call) }
        router.on("POST", "/v1/presence", .apiKey) { call in self.answer(call) }
        server.onRequest = { self.router.handle($0, $1) }
        client.onState = { state in
            self.redis.report(state)
            if state != .up { self.sweeper.redisIsAway() }
        }
        client.onWrites = { self.redis.report($0) }
        client.start()
        sweeper.start()
    }

    public func drain() async {
        sweeper.stop()
        await server.finish()
        client.close()
    }

    private func answer(_ call: RESTCall) {
        do {
            let query = try PresenceQuery(call.request, maximum: settings.maxUsers)
            routes.connections(of: query.people) { result in
                switch result {
                case .success(let connections): call.respond(query.answer(connections))
                case .failure: call.unavailable("Who is online is not known at the moment.")
                }
            }
        } catch {
            call.refuse(error.detail)
        }
    }
}
