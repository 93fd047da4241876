import Centrifuge
import EventLoop
import HTTP
import Models
import Network
import Redis
import ServiceRuntime
import Settings
import Store
import Tokens
import WebSocket

/// All that one loop of a gateway holds: its clients, its lease, its ear to Redis. Loop thread only; plain callbacks.
///
/// It appends nothing and decides nothing about notifications: it knows where each client stands in an inbox and writes
/// what comes after.
final class Hub {
    let loop: EventLoop
    let settings: GatewaySettings
    let metrics: GatewayMetrics
    let log: Log
    let maxConnections: Int
    let occupancy: Occupancy
    let keyspace: Keyspace
    let redis: RedisClient
    /// What was seen of Redis; it knows an older state when one comes back.
    let witness = Witness()
    let inbox: Inbox
    let routes: Routes
    let gateways: Gateways
    let tickets: Tickets
    let revocations: Revocations
    private let credentials: Credentials
    let refusals: Refusals
    let origins: OriginPolicy
    /// One for all WebSockets of this loop; nil unless WEBSOCKET_DEFLATE.
    let deflate: MessageDeflate?
    let lease: GatewayLease

    var slab = Slab<Client>()
    var server: HTTPServer?
    var isDraining = false
    private var wheel: Wheel
    private var tokenEnds: TokenEnds
    private var tick: LoopTimer?
    /// Streams of clients that are not closed yet, those who say farewell among them.
    private(set) var openStreams = 0
    var onStreamClosed: (() -> Void)?

    let faults: BatchFaults?

    let pacing = Pacing()

    // Routes (Hub+Routes)
    var walk: Walk
    /// Sessions whose read failed, each once; looked at again each second.
    var stalled: Set<LocalConnection> = []
    var removals = Backlog<Removal>()
    var removalsInFlight = 0

    // Revocations (Hub+Revocation)
    var sweep = RevocationSweep()
    var sweepTimer: LoopTimer?

    /// What clients watch beside their inboxes.
    private(set) lazy var channels = WatchedChannels(
        hub: self, streams: ChannelStreams(redis, keyspace, limits: settings.channels, witness: witness))

    init(context: ServiceContext<GatewaySettings>, instance: InstanceID, occupancy: Occupancy) throws {
        self.occupancy = occupancy
        loop = context.loop
        settings = context.settings
        log = context.log
        metrics = GatewayMetrics(context.metrics)
        maxConnections = settings.maxConnections ?? max(16, Int(descriptorLimit()) - 256)
        keyspace = Keyspace(namespace: context.process.namespace, shards: settings.redis.shards)
        let endpoint = try RedisEndpoint(settings.redis)
        redis = RedisClient(
            loop: loop, endpoint: endpoint, limits: RedisLimits(settings.redis), scripts: StoreScripts.all,
            checks: [keyspace.shardsCheck, witness.check(keyspace)], writable: keyspace.shardsKey)
        inbox = Inbox(redis, keyspace, limits: settings.marking, witness: witness)
        routes = Routes(redis, keyspace, witness: witness)
        gateways = Gateways(redis, keyspace, witness: witness)
        tickets = Tickets(redis, keyspace)
        revocations = Revocations(redis, keyspace)
        credentials = try Credentials(context, settings.tokens)
        refusals = Refusals(
            log: context.log, metrics: context.metrics, showsAddresses: context.process.logsAddresses)
        deflate = settings.deflates ? MessageDeflate() : nil
        origins = OriginPolicy(allowed: context.process.allowedOrigins, takesLoopback: context.process.demo)
        let source = context.dependencies.source(.redis)
        let ear = Ear(
            loop: loop, endpoint: endpoint, settings: settings.redis, keyspace: keyspace,
            source: context.dependencies.source(.redis))
        lease = GatewayLease(
            of: instance, gateways: gateways, redis: redis, witness: witness, ear: ear, interval: settings.leaseInterval,
            source: source, log: log)
        wheel = Wheel(second: loop.now / 1000)
        tokenEnds = TokenEnds(second: loop.now / 1000)
        walk = Walk(window: settings.reconcileWindow)
        faults = BatchFaults(settings.faults)
    }

    func start() {
        warnOfFaults()
        lease.start(following: self) { [weak self] in self?.arrived($0) }
        tick = loop.timer(after: .seconds(1), every: .seconds(1)) { [weak self] in self?.everySecond() }
    }

    func stop() {
        tick?.cancel()
        lease.stop()
        redis.close()
    }

    var isReady: Bool { lease.isReady }

    // MARK: Clients come and go

    /// Gives a newcomer its place and its first deadline.
    func insert<Made: Client>(firstDue: Int, _ make: (LocalConnection) -> Made) -> Made {
        var made: Made?
        let name = slab.insert { name in
            let client = make(name)
            made = client
            return client
        }
        wheel.add(name, delay: firstDue)
        guard let made else { preconditionFailure("insert calls its body") }
        metrics.connections[TransportLabel(made.transport)].add()
        guard made.ownsStream else { return made }
        openStreams += 1
        return made
    }

    /// A newcomer's stream could not be had after all: it is still the server's, which will count its end.
    func abandon(_ client: Client) {
        leave(client)
        openStreams -= 1
        onStreamClosed?()
    }

    /// Frees the client's place and removes its route. A second call does nothing.
    func leave(_ client: Client) {
        guard !client.hasLeft else { return }
        client.hasLeft = true
        if client.isCounted, let person = client.identity?.person { occupancy.leave(person) }
        slab.remove(client.name)
        client.left()
        metrics.connections[TransportLabel(client.transport)].subtract()
        if client.hasRoute, let person = client.identity?.person {
            remove(Removal(connection: connection(of: client), person: person))
            if client.routeEpoch != lease.epochNumber, let former = lease.formerConnection(client.name) {
                remove(Removal(connection: former, person: person))
            }
        }
    }

    func streamClosed(of client: Client) {
        openStreams -= 1
        occupancy.leave(address: client.addressKey)
        onStreamClosed?()
    }

    func count(_ disconnect: Disconnect) {
        let label = DisconnectLabel(disconnect)
        metrics.disconnects[label].increment()
        log.debug("a client is disconnected", ["reason": .name(label)])
    }

    /// The client's name beyond this process.
    func connection(of client: Client) -> ConnectionID { lease.connection(client.name) }

    // MARK: Time

    private func everySecond() {
        let now = loop.now / 1000
        let wallClock = EventLoop.wallClock()
        for name in wheel.turn(to: now) {
            guard let client = slab[name], let delay = client.due(now: now) else { continue }
            wheel.add(name, delay: delay)
        }
        for name in tokenEnds.turn(to: now, left: { slab[$0]?.secondsLeft(wallClock) }) { slab[name]?.disconnect(.expired) }
        retryStalled()
        channels.retry()
        retryRemovals()
    }

    /// To be called once, when it is known who it is.
    func watchExpiry(of client: Client) {
        if let left = client.secondsLeft(EventLoop.wallClock()) { tokenEnds.watch(client.name, left: left) }
    }

    /// To be called when its token ends sooner than the one before.
    func hastenExpiry(of client: Client) {
        if let left = client.secondsLeft(EventLoop.wallClock()) { tokenEnds.hasten(client.name, left: left) }
    }

    /// In ms, between one and two times RETRY_DELAY.
    func jitteredRetry() -> UInt64 {
        let base = settings.retryDelay.wholeMilliseconds
        return base + UInt64.random(in: 0...base)
    }

    // MARK: Tokens

    /// Who a token's bearer is, now.
    func identify(_ token: String) -> Result<Client.Identity, TokenError> {
        credentials.claims(token).flatMap { claims in
            guard let person = PersonID(claims.subject) else { return .failure(.invalid(.badSubject)) }
            return .success(Client.Identity(claims, person, device: nil))
        }
    }

    /// The claims as a whole, for a ticket.
    func claims(_ token: String) -> Result<TokenClaims, TokenError> {
        credentials.claims(token)
    }

    /// Whether a ticket was made of a token that no service takes any more: a gateway of an earlier version did.
    func outlives(_ ticket: Ticket) -> Bool {
        credentials.outlives(expires: ticket.expires, issuedAt: ticket.issued == 0 ? nil : ticket.issued)
    }
}
