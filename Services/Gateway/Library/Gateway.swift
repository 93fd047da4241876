public import EventLoop
import HTTP
import Models
import Network
public import ServiceRuntime
import Settings

/// The service that holds the clients' connections. It has no business rules: it writes to each client what its person's
/// inbox holds after the client's position.
public actor Gateway: Service {
    public static let name = "gateway"
    public static let summary =
        "carillon gateway: holds the connections of clients (WebSocket and SSE) and writes to each what is new in its "
        + "person's inbox, once and in order."

    public nonisolated let loop: EventLoop
    private let context: ServiceContext<GatewaySettings>
    private let hub: Hub
    private let entrance: Entrance

    public init(context: ServiceContext<GatewaySettings>) throws {
        loop = context.loop
        self.context = context
        guard let instance = InstanceID(context.instance) else {
            throw StartError("INSTANCE_ID holds a character that an instance's name may not have")
        }
        hub = try Hub(context: context, instance: instance)
        entrance = Entrance(hub: hub)
    }

    public func start() async throws {
        let listener = try Listener(
            loop: loop, address: context.process.listenAddress, port: context.process.port, backlog: 4096)
        var limits = HTTPLimits()
        limits.requestDeadline = context.settings.handshakeTimeout
        let server = HTTPServer(loop: loop, listener: listener, limits: limits)
        let (hub, entrance) = (hub, entrance)
        hub.server = server
        server.onRequest = { entrance.serve($0, $1) }
        // The last descriptors are kept for those who are told in words to come back later.
        server.admits = { hub.openStreams + server.connectionCount < hub.maxConnections + 192 }
        hub.start()
        context.listens(on: server.port)
    }

    public func drain() async {
        await withCheckedContinuation { done in hub.drain { done.resume() } }
        hub.stop()
    }
}
