import EventLoop
import HTTP
import ServiceRuntime

/// `/connection/sse`: a plain EventSource. Loop thread only.
final class EventStreamDoor {
    private static let noSDKTransport = HTTPResponse.problem(
        status: 400, name: "plain_event_source",
        detail: "This path serves a plain EventSource. The Centrifuge SDKs' own transport over SSE (cf_connect) is not spoken: "
            + "let the SDK use /connection/websocket, or open an EventSource.")

    private let node: GatewayNode
    private let gate: RequestGate
    private let tickets: TicketDesk

    init(node: GatewayNode, gate: RequestGate, tickets: TicketDesk) {
        self.node = node
        self.gate = gate
        self.tickets = tickets
    }

    func open(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard request.query("cf_connect") == nil else { return exchange.respond(Self.noSDKTransport) }
        // Other servers of event streams use the second name.
        let shown = request.header("last-event-id") ?? request.query("last_event_id") ?? request.query("lastEventId")
        tickets.identify(request, exchange, showing: shown) { [self] reader in
            // This is asked before the head of the stream is written, which says 200.
            gate.unlessRevoked(reader.identity, request, exchange) { [self] in begin(reader, request, exchange) }
        }
    }

    private func begin(_ reader: CursorReader, _ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let stream = exchange.stream else { return }
        let opening = Opening(at: exchange.began, name: ClientName(request.query("name")))
        let client = node.clients.insert(firstDue: Int.random(in: 1...max(1, node.settings.liveness.commentSeconds))) { name in
            EventStreamClient(node: node, stream: stream, name: name, reader: reader)
        }
        client.addressKey = exchange.tag ?? 0
        guard exchange.upgrade(EventStream.head(exchange.addedHeaders), to: client) else {
            return node.clients.abandon(client)
        }
        node.registry.register(client, from: reader.start, opening: opening)
    }
}
