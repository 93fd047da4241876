import EventLoop
import HTTP
import Models
import Network
import ServiceRuntime
import Settings
import Store

/// One loop of the gateway: a listener, and the owners of the loop's state. Loops share a port and the counts of the process, and
/// nothing else. A connection never changes its loop.
actor GatewayLoop: LoopActor {
    /// Connections that the kernel keeps until the gateway accepts them.
    private static let backlog: Int32 = 4096

    nonisolated let loop: EventLoop
    private let home: ServiceContext<GatewaySettings>
    /// Counts from 1.
    private let number: Int
    private let occupancy: Occupancy
    private let apiKeys: APIKeyCheck?
    private var owners: GatewayOwners?
    private var server: HTTPServer?
    private var log: Log?

    init(
        home: ServiceContext<GatewaySettings>, loop: EventLoop, number: Int, occupancy: Occupancy, apiKeys: APIKeyCheck?
    ) {
        self.home = home
        self.loop = loop
        self.number = number
        self.occupancy = occupancy
        self.apiKeys = apiKeys
    }

    /// Opens the listener and begins the lease. Answers the port.
    /// - Parameters:
    ///   - port: 0 takes a free one.
    ///   - tls: what clients must speak; nil: plain text.
    func start(port: Int, tls: TLSContext?) throws -> Int {
        let context = number == 1 ? home : home.branch(loop: loop, number: number)
        guard let instance = InstanceID(context.instance) else {
            throw StartError("INSTANCE_ID holds a character that an instance's name may not have")
        }
        let owners = try GatewayOwners(context, instance: instance, occupancy: occupancy, apiKeys: apiKeys)
        let server = try listen(context, port: port)
        server.tls = tls
        serve(server, owners)
        owners.start()
        self.owners = owners
        self.server = server
        log = context.log
        return server.port
    }

    private func listen(_ context: ServiceContext<GatewaySettings>, port: Int) throws -> HTTPServer {
        let settings = context.settings
        let listener = try Listener(
            loop: loop, address: context.process.listenAddress, port: port, backlog: Self.backlog, sharesPort: settings.loops.count > 1)
        // The wheel does not see these: a request that never comes, and an answer that nobody reads.
        listener.limitSilence(seconds: settings.liveness.silenceSeconds)
        // Linux doubles the number, because its own bookkeeping counts too.
        listener.limitSendBuffer(bytes: Int32(clamping: settings.sending.socketBytes / 2))
        var limits = HTTPLimits()
        limits.requestDeadline = settings.liveness.handshakeTimeout
        limits.idleDeadline = settings.liveness.idleTimeout
        limits.bodyBytes = settings.calls.messageBytes
        return HTTPServer(loop: loop, listener: listener, limits: limits)
    }

    private func serve(_ server: HTTPServer, _ owners: GatewayOwners) {
        let (doors, admission, metrics) = (owners.doors, owners.admission, owners.node.metrics)
        server.onRequest = { doors.serve($0, $1) }
        server.admits = { admission.admitStream($0) }
        server.onGone = { admission.streamIsGone(address: $0) }
        server.onRefusal = { admission.requestFailed($0) }
        server.onTLSFailure = { metrics.doors.refusals[.tls].increment() }
        server.onIdle = { metrics.doors.refusals[.idle].increment() }
    }

    /// Sets the certificate for new connections.
    func use(_ tls: TLSContext) { server?.tls = tls }

    /// Returns when all clients have left and the lease is given back.
    func drain() async {
        guard let owners, let server else { return }
        owners.admission.drains()
        server.drain()
        await withCheckedContinuation { done in owners.drain { done.resume() } }
        owners.stop()
        log?.sumUp(all: true)
    }
}
