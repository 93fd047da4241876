public import EventLoop
import HTTP
public import ServiceRuntime
import ServiceStore
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
    private let context: ServiceContext<PresenceSettings>
    private let store: StoreConnection
    private let routes: any RouteRegistry
    private let sweeper: Sweeper

    public init(context: ServiceContext<PresenceSettings>) throws {
        loop = context.loop
        self.context = context
        settings = context.settings
        store = try StoreConnection(loop: context.loop, settings: settings.redis, namespace: context.process.namespace)
        routes = store.routes
        sweeper = Sweeper(
            loop: context.loop, store: store, leaseLength: settings.leaseLength, log: context.log, metrics: context.metrics)
        var limits = HTTPLimits()
        limits.bodyBytes = PresenceQuery.bodyLimit(maximum: context.settings.maxUsers)
        server = try context.serve(limits: limits)
        router = RESTRouter(context, apiKey: settings.apiKey)
    }

    public func start() async throws {
        router.on("GET", "/v1/presence", .apiKey) { call in self.answer(call) }
        router.on("POST", "/v1/presence", .apiKey) { call in self.answer(call) }
        server.onRequest = { self.router.handle($0, $1) }
        context.bringUp(store, onAway: { self.sweeper.storeIsAway() })
        sweeper.start()
    }

    public func drain() async {
        sweeper.stop()
        await server.finish()
        store.close()
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
