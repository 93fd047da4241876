public import EventLoop
import HTTP
import Kafka
import Models
import ServiceKafka
public import ServiceRuntime
import ServiceStore
import Settings
import Store

/// Brings notifications to their people: into the inbox, to the gateways that hold them, or to the push topics.
public actor FanoutWorker: Service {
    public static let name = "fanout-worker"
    public static let summary = """
        Takes notifications from Kafka, appends them to their recipients' inboxes in Redis, publishes them to the gateways that \
        hold those people, and hands the rest to the push service. Keeps the members of audiences.
        """

    public nonisolated let loop: EventLoop
    private let context: ServiceContext<FanoutSettings>
    private let store: StoreConnection
    private let lanes: [Lane]
    private let router: RESTRouter
    private let tools: FanoutTools
    private var server: HTTPServer?

    public init(context: ServiceContext<FanoutSettings>) throws {
        let (loop, settings) = (context.loop, context.settings)
        self.loop = loop
        self.context = context
        let topics = Topics(namespace: context.process.namespace)
        store = try StoreConnection(loop: loop, settings: settings.redis, namespace: context.process.namespace)
        router = RESTRouter(context, apiKey: settings.apiKey)
        tools = FanoutTools(
            loop: loop, store: store, inbox: store.inbox(settings.inbox), router: store.router, audiences: store.audiences,
            channels: store.channels(settings.channels, inbox: settings.inbox), topics: topics, limits: settings.limits,
            rightOfWay: RightOfWay(),
            metrics: FanoutMetrics(context.metrics), log: context.log)
        let tools = tools
        let lanes = try Priority.allCases.map { try Lane($0, context: context, tools: tools) }
        self.lanes = lanes
        let store = store
        context.metrics.gauge("carillon_fanout_held_records", "Records read from Kafka and not begun.") {
            Double(lanes.reduce(0) { $0 + $1.heldRecords })
        }
        context.metrics.gauge("carillon_fanout_commands_in_flight", "Commands that Redis has not answered.") {
            Double(store.callsInFlight)
        }
    }

    public func start() async throws {
        context.bringUp(store, onUp: { for lane in self.lanes { lane.wake() } })
        for lane in lanes { try lane.start() }
        AudienceRoutes(tools.audiences).add(to: router)
        let server = try context.serve()
        let router = router
        server.onRequest = { router.handle($0, $1) }
        self.server = server
    }

    public func drain() async {
        await withCheckedContinuation { done in
            var left = lanes.count
            for lane in lanes {
                lane.stop {
                    left -= 1
                    if left == 0 { done.resume() }
                }
            }
        }
        await server?.finish()
        store.close()
    }
}
