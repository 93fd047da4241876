import EventLoop
import HTTP
import Models
import ServiceRuntime
import Store
import Tokens

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
        // The second name is what other servers of event streams call it.
        let shown = request.header("last-event-id") ?? request.query("last_event_id") ?? request.query("lastEventId")
        switch gate.credential(request, exchange) {
        case .bearer(let claims)?:
            guard let identity = gate.identity(claims, request) else { return }
            gate.unlessRevoked(identity, request, exchange) { [self] in
                stream(request, exchange, identity, shown, key: nil, onBegin: nil)
            }
        case .ticket(let name)?:
            tickets.use(name, showing: shown, request, exchange) { [self] ticket in
                gate.unlessRevoked(ticket.identity, request, exchange) { [self] in
                    stream(request, exchange, ticket.identity, shown, key: ticket.key) { [self] client, begin in
                        tickets.mark(ticket, client, begin) { _ in }
                    }
                }
            }
        case .none?: gate.refuse(request, exchange, .missing, "There is neither a token nor a ticket.")
        case nil: break
        }
    }

    private func stream(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ identity: Client.Identity, _ shown: String?,
        key: TagKey?, onBegin: ((EventStreamClient, StreamPosition) -> Void)?
    ) {
        guard let stream = exchange.stream else { return }
        let opening = Opening(at: exchange.began, name: ClientName(request.query("name")))
        let client = node.clients.insert(firstDue: Int.random(in: 1...max(1, node.settings.commentSeconds))) { name in
            EventStreamClient(node: node, stream: stream, name: name, identity: identity, key: key, onBegin: onBegin)
        }
        client.addressKey = exchange.tag ?? 0
        guard exchange.upgrade(EventStream.head(exchange.addedHeaders), to: client) else {
            return node.clients.abandon(client)
        }
        node.registry.register(client, from: InboxStart(shown), opening: opening)
    }
}

extension InboxStart {
    /// Behind the cursor that a client shows; at the present if it shows none, or what is none.
    init(_ shown: String?) { self = shown.flatMap { Cursor($0) }.map { .after($0.position) } ?? .present }
}
