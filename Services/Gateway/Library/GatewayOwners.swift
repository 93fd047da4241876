import EventLoop
import HTTP
import Models
import ServiceRuntime
import Settings
import Store

/// All owners of one loop's state, made and told of each other here: the only place that sees all of them.
struct GatewayOwners {
    let node: GatewayNode
    let admission: Admission
    let doors: Doors
    private let stores: GatewayStores
    private let removals: Removals
    private let recovery: LossRecovery
    private let dispatcher: Dispatcher

    init(
        _ context: ServiceContext<GatewaySettings>, instance: InstanceID, occupancy: Occupancy, apiKeys: APIKeyCheck?
    ) throws {
        let (loop, settings, log) = (context.loop, context.settings, context.log)
        let metrics = GatewayMetrics(context.metrics)
        let stores = try GatewayStores(context)
        let refusals = Refusals(log: log, metrics: context.metrics, showsAddresses: context.process.logsAddresses)
        let lease = Self.lease(context, stores, instance)
        let removals = Removals(lease: lease, routes: stores.routes, metrics: metrics)
        let clients = Clients(
            loop: loop, lease: lease, removals: removals, occupancy: occupancy, metrics: metrics, log: log)
        let tokens = try Credentials(context, settings.tokens)
        let credentials = CredentialCheck(
            loop: loop, tokens: tokens, revocations: stores.revocations, clients: clients,
            refusals: refusals)
        let registry = Registry(
            loop: loop, clients: clients, lease: lease, routes: stores.routes, removals: removals, occupancy: occupancy,
            credentials: credentials, settings: settings, metrics: metrics, log: log)
        let sessions = Sessions(
            loop: loop, clients: clients, lease: lease, registry: registry, credentials: credentials, inbox: stores.inbox,
            settings: settings)
        let presence = ChannelPresence(
            loop: loop, lease: lease, router: stores.router, limit: settings.watching.presenceMax)
        let channels = Channels(
            streams: stores.channels, presence: presence, lease: lease, removals: removals, clients: clients,
            settings: settings, metrics: metrics)
        let announcer = Announcer(lease: lease, clients: clients, router: stores.router)
        node = GatewayNode(
            loop: loop, settings: settings, metrics: metrics, lease: lease, clients: clients, credentials: credentials,
            registry: registry, sessions: sessions, channels: channels, marks: Marks(inbox: stores.inbox, announcer: announcer))
        let recovery = LossRecovery(
            loop: loop, lease: lease, clients: clients, removals: removals, sessions: sessions, channels: channels,
            metrics: metrics)
        dispatcher = Dispatcher(
            lease: lease, clients: clients, registry: registry, credentials: credentials, channels: channels,
            metrics: metrics, onLoss: { [unowned recovery] in recovery.lossNoticed() })
        admission = Admission(
            loop: loop, lease: lease, occupancy: occupancy, settings: settings.admission, metrics: metrics, refusals: refusals)
        let origins = OriginPolicy(allowed: context.process.allowedOrigins, takesLoopback: context.process.demo)
        doors = Doors(
            node: node, gate: RequestGate(node: node, admission: admission, origins: origins, log: log), stores: stores,
            announcer: announcer, apiKeys: apiKeys,
            router: RESTRouter(
                loop: loop, metrics: context.metrics, apiKey: apiKeys, tokens: tokens, origins: origins, refusals: refusals,
                trusted: context.trustedProxies, log: log))
        self.stores = stores
        self.removals = removals
        self.recovery = recovery
    }

    private static func lease(
        _ context: ServiceContext<GatewaySettings>, _ stores: GatewayStores, _ instance: InstanceID
    ) -> GatewayLease {
        let source = context.dependencies.source(.redis)
        let ear = Ear(router: stores.router, source: context.dependencies.source(.redis))
        return GatewayLease(
            of: instance, loop: context.loop, store: stores.connection, gateways: stores.gateways, ear: ear,
            interval: context.settings.loops.leaseInterval, source: source, log: context.log)
    }

    /// Begins the lease, and what is done each second.
    func start() {
        node.lease.start(following: recovery) { [weak dispatcher] in dispatcher?.heard($0) }
        recovery.start()
    }

    /// Asks all clients to leave; `completion` is called when they have, and the lease is given back.
    func drain(_ completion: @escaping () -> Void) {
        Drain(
            loop: node.loop, window: node.settings.loops.drainWindow, clients: node.clients, removals: removals, lease: node.lease,
            channels: stores.channels, completion: completion
        ).begin()
    }

    func stop() {
        recovery.stop()
        node.lease.stop()
        stores.close()
    }
}
