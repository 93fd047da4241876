import EventLoop
import HTTP
import Models
import Network
import ServiceRuntime
import Settings

/// One loop of the gateway: a listener, a hub and what belongs to it. Loops share a port and the process's counts, and
/// nothing else; a connection never changes its loop.
actor GatewayLoop: LoopActor {
    nonisolated let loop: EventLoop
    private let home: ServiceContext<GatewaySettings>
    /// From 1.
    private let number: Int
    private let occupancy: Occupancy
    private let apiKeys: APIKeyCheck?
    private var hub: Hub?
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

    /// Listens and begins its lease; answers the port.
    /// - Parameters:
    ///   - port: 0 takes a free one.
    ///   - tls: what clients must speak; nil: plain text.
    func start(port: Int, tls: TLSContext?) throws -> Int {
        let context = number == 1 ? home : home.branch(loop: loop, number: number)
        guard let instance = InstanceID(context.instance) else {
            throw StartError("INSTANCE_ID holds a character that an instance's name may not have")
        }
        let hub = try Hub(context: context, instance: instance, occupancy: occupancy)
        let entrance = Entrance(hub: hub, apiKeys: apiKeys)
        let listener = try Listener(
            loop: loop, address: context.process.listenAddress, port: port, backlog: 4096,
            sharesPort: context.settings.loops > 1)
        // What the wheel does not see: a request that never comes, an answer that nobody takes.
        listener.limitSilence(seconds: context.settings.silenceSeconds)
        // Linux doubles what it is asked for, and counts its own bookkeeping in.
        listener.limitSendBuffer(bytes: Int32(clamping: context.settings.socketBytes / 2))
        var limits = HTTPLimits()
        limits.requestDeadline = context.settings.handshakeTimeout
        limits.idleDeadline = context.settings.idleTimeout
        limits.bodyBytes = context.settings.messageBytes
        let server = HTTPServer(loop: loop, listener: listener, limits: limits)
        server.tls = tls
        hub.server = server
        server.onRequest = { entrance.serve($0, $1) }
        server.admits = { hub.admitStream($0) }
        server.onGone = { hub.occupancy.leave(address: $0) }
        server.onRefusal = { hub.requestFailed($0) }
        server.onTLSFailure = { hub.metrics.refusals[.tls].increment() }
        server.onIdle = { hub.metrics.refusals[.idle].increment() }
        hub.start()
        self.hub = hub
        log = context.log
        return server.port
    }

    /// What newcomers speak from now on.
    func use(_ tls: TLSContext) { hub?.server?.tls = tls }

    /// Ends when no client is left and the lease is given back.
    func drain() async {
        guard let hub else { return }
        await withCheckedContinuation { done in hub.drain { done.resume() } }
        hub.stop()
        log?.sumUp(all: true)
    }
}
