import Centrifuge
import HTTP
import ServiceRuntime

/// The gateway's HTTP paths: which door each leads to. Loop thread only.
struct Doors {
    private let gate: RequestGate
    private let webSocket: WebSocketDoor
    private let eventStream: EventStreamDoor
    private let poll: PollDoor
    private let tickets: TicketDesk
    private let inbox: InboxRoutes
    private let revocations: RevocationRoute

    /// - Parameter apiKeys: nil: nobody may revoke.
    init(node: GatewayNode, gate: RequestGate, stores: GatewayStores, announcer: Announcer, apiKeys: APIKeyCheck?) {
        self.gate = gate
        let tickets = TicketDesk(node: node, gate: gate, tickets: stores.tickets, announcer: announcer)
        self.tickets = tickets
        webSocket = WebSocketDoor(node: node, gate: gate, tickets: tickets)
        eventStream = EventStreamDoor(node: node, gate: gate, tickets: tickets)
        poll = PollDoor(node: node, gate: gate, tickets: tickets)
        inbox = InboxRoutes(node: node, gate: gate)
        revocations = RevocationRoute(node: node, gate: gate, revocations: stores.revocations, apiKeys: apiKeys)
    }

    func serve(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard gate.isOfAllowedOrigin(request, exchange) else { return }
        switch request.path {
        case "/connection/websocket": admit(request, exchange, ["GET"], webSocket.open)
        case "/connection/sse": admit(request, exchange, ["GET"], eventStream.open)
        case "/connection/poll": admit(request, exchange, ["GET"], poll.open)
        case "/v1/connect": admit(request, exchange, ["POST"], tickets.make)
        case "/v1/inbox/ack": admit(request, exchange, ["POST"], inbox.acknowledge)
        case "/v1/inbox/read": admit(request, exchange, ["POST"], inbox.markRead)
        case "/v1/revocations": admit(request, exchange, ["POST"], revocations.revoke)
        case "/v1/inbox": admit(request, exchange, ["GET", "HEAD"], inbox.read)
        default:
            exchange.respond(.problem(status: 404, name: "not_found", detail: "Nothing is served at this path."))
        }
    }

    private func admit(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ methods: [String], _ body: (HTTPRequest, HTTPExchange) -> Void
    ) {
        if gate.admits(request, exchange, methods) { body(request, exchange) }
    }
}
