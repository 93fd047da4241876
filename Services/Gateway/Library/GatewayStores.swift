import ServiceRuntime
import Settings
import Store

/// One loop's connection to its store, and what stands there, by its kind.
struct GatewayStores {
    let connection: StoreConnection
    let inbox: Inbox
    let routes: Routes
    let gateways: Gateways
    let router: any Router
    let tickets: Tickets
    let revocations: Revocations
    let channels: ChannelStreams

    init(_ context: ServiceContext<GatewaySettings>) throws {
        let settings = context.settings
        connection = try StoreConnection(loop: context.loop, settings: settings.redis, namespace: context.process.namespace)
        inbox = connection.inbox(settings.marking)
        routes = connection.routes
        gateways = connection.gateways
        router = connection.router
        tickets = connection.tickets
        revocations = connection.revocations
        channels = connection.channels(settings.channels, inbox: settings.marking)
    }

    /// Ends the connection; what is in flight fails.
    func close() { connection.close() }
}
