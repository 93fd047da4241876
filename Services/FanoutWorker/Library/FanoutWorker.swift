public import EventLoop
import HTTP
import Kafka
import Models
import Redis
public import ServiceRuntime
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
    private let client: RedisClient
    private let lanes: [Lane]
    private let router: RESTRouter
    private let tools: FanoutTools
    private let redis: DependencySource
    private var server: HTTPServer?

    public init(context: ServiceContext<FanoutSettings>) throws {
        let (loop, settings) = (context.loop, context.settings)
        self.loop = loop
        self.context = context
        let topics = Topics(namespace: context.process.namespace)
        let keys = Keyspace(namespace: context.process.namespace, shards: settings.redis.shards)
        let witness = Witness()
        client = RedisClient(
            loop: loop, endpoint: try RedisEndpoint(settings.redis), limits: RedisLimits(settings.redis),
            scripts: StoreScripts.all, checks: [keys.shardsCheck, witness.check(keys)], writable: keys.shardsKey)
        redis = context.dependencies.source(.redis)
        router = RESTRouter(context, apiKey: settings.apiKey)
        tools = FanoutTools(
            loop: loop, client: client, inbox: Inbox(client, keys, limits: settings.inbox, witness: witness),
            gateways: Gateways(client, keys),
            audiences: Audiences(client, keys),
            channels: ChannelStreams(client, keys, limits: settings.channels, inbox: settings.inbox, witness: witness), topics: topics,
            limits: settings.limits, metrics: FanoutMetrics(context.metrics), log: context.log)
        let tools = tools
        let lanes = try Priority.allCases.map { try Lane($0, context: context, tools: tools) }
        self.lanes = lanes
        let client = client
        context.metrics.gauge("carillon_fanout_held_records", "Records read from Kafka and not begun.") {
            Double(lanes.reduce(0) { $0 + $1.heldRecords })
        }
        context.metrics.gauge("carillon_fanout_commands_in_flight", "Commands that Redis has not answered.") {
            Double(client.inFlight)
        }
    }

    public func start() async throws {
        client.onState = { state in
            self.redis.report(state)
            switch state {
            case .up: for lane in self.lanes { lane.wake() }
            case .down: break
            case .refused(let reason): self.context.fail("Redis is not fit for use", ["reason": .configured(reason)])
            }
        }
        client.onWrites = { writes in
            self.redis.report(writes)
            if writes == .taken { for lane in self.lanes { lane.wake() } }
        }
        client.start()
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
        client.close()
    }
}
