import EventLoop
import WebSocket

/// What a client reaches of the loop that holds it: the owners of the loop's state, and nothing of its own. As far as Redis
/// knows, each loop is a gateway of its own: it has a name and a lease.
final class GatewayNode {
    let loop: EventLoop
    let settings: GatewaySettings
    let metrics: GatewayMetrics
    /// One for all WebSockets of this loop; nil unless WEBSOCKET_DEFLATE.
    let deflate: MessageDeflate?
    let lease: GatewayLease
    let clients: Clients
    let credentials: CredentialCheck
    let registry: Registry
    let sessions: Sessions
    let channels: Channels
    let marks: Marks

    init(
        loop: EventLoop, settings: GatewaySettings, metrics: GatewayMetrics, lease: GatewayLease, clients: Clients,
        credentials: CredentialCheck, registry: Registry, sessions: Sessions, channels: Channels, marks: Marks
    ) {
        self.loop = loop
        self.settings = settings
        self.metrics = metrics
        deflate = settings.deflate.isOn ? MessageDeflate() : nil
        self.lease = lease
        self.clients = clients
        self.credentials = credentials
        self.registry = registry
        self.sessions = sessions
        self.channels = channels
        self.marks = marks
    }
}
