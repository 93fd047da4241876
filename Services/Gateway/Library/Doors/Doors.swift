import HTTP
import ServiceRuntime

/// The gateway's HTTP paths: which door a session comes in by, and the routes of REST. Loop thread only.
struct Doors {
    private let gate: RequestGate
    private let webSocket: WebSocketDoor
    private let eventStream: EventStreamDoor
    private let poll: PollDoor
    private let router: RESTRouter

    /// - Parameters:
    ///   - apiKeys: nil: nobody may revoke.
    ///   - router: has no route yet.
    init(
        node: GatewayNode, gate: RequestGate, stores: GatewayStores, announcer: Announcer, apiKeys: APIKeyCheck?, router: RESTRouter
    ) {
        self.gate = gate
        self.router = router
        let tickets = TicketDesk(node: node, gate: gate, tickets: stores.tickets, announcer: announcer)
        webSocket = WebSocketDoor(node: node, gate: gate, tickets: tickets)
        eventStream = EventStreamDoor(node: node, gate: gate, tickets: tickets)
        poll = PollDoor(node: node, tickets: tickets)
        router.admission = gate
        router.standing = { [credentials = node.credentials] in credentials.standing(of: $0, $1) }
        tickets.add(to: router)
        InboxRoutes(node: node, gate: gate).add(to: router)
        RevocationRoute(node: node, gate: gate, revocations: stores.revocations)
            .add(to: router, access: apiKeys == nil ? .nobody : .apiKey)
    }

    func serve(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        switch request.path {
        case "/connection/websocket": admit(request, exchange, webSocket.open)
        case "/connection/sse": admit(request, exchange, eventStream.open)
        case "/connection/poll": admit(request, exchange, poll.open)
        default: router.handle(request, exchange)
        }
    }

    private func admit(_ request: HTTPRequest, _ exchange: HTTPExchange, _ open: (HTTPRequest, HTTPExchange) -> Void) {
        if gate.admits(request, exchange) { open(request, exchange) }
    }
}
