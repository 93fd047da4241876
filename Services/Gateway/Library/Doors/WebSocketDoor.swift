import Centrifuge
import EventLoop
import HTTP
import Models
import Tokens
import WebSocket

/// `/connection/websocket`: clients of the Centrifuge protocol. Loop thread only.
final class WebSocketDoor {
    /// A client that names subprotocols must name one of these.
    private static let codecs = ["centrifuge-json": Codec.json, "centrifuge-protobuf": .protobuf]

    private let node: GatewayNode
    private let gate: RequestGate
    private let tickets: TicketDesk

    init(node: GatewayNode, gate: RequestGate, tickets: TicketDesk) {
        self.node = node
        self.gate = gate
        self.tickets = tickets
    }

    /// The codec of a client: that of the subprotocol that was agreed on. Without one it is that of the query, or JSON.
    private static func codec(_ request: HTTPRequest, _ opening: WebSocketOpening) -> Codec {
        if let agreed = opening.subprotocol.flatMap({ codecs[$0] }) { return agreed }
        return request.query("cf_protocol") == "protobuf" ? .protobuf : .json
    }

    func open(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        let answer: WebSocketOpening
        switch WebSocketHandshake.answer(request, protocols: Self.codecs.keys.sorted(), deflates: node.deflate != nil) {
        case .success(let opening): answer = opening
        case .failure(let refusal): return exchange.respond(refusal.response)
        }
        switch gate.credential(request, exchange) {
        case .bearer(let claims)?: upgrade(request, exchange, answer, gate.identity(claims, request))
        case .none?:
            // Its connect command will bring a token.
            upgrade(request, exchange, answer, nil)
        case .ticket(let name)?:
            tickets.useUp(name, request, exchange) { [self] in upgrade(request, exchange, answer, $0) }
        case nil: break
        }
    }

    private func upgrade(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ answer: WebSocketOpening, _ identity: Client.Identity?
    ) {
        guard let stream = exchange.stream else { return }
        let opened = exchange.began
        let patience = Int(node.settings.liveness.handshakeTimeout / .seconds(1))
        // The first look comes at a random second, so that pings are spread even if clients came together.
        let client = node.clients.insert(firstDue: Int.random(in: 1...max(1, patience))) { name in
            WebSocketClient(
                node: node, stream: stream, name: name, openedAt: opened, codec: Self.codec(request, answer),
                isDeflating: answer.isDeflating)
        }
        client.identity = identity
        client.addressKey = exchange.tag ?? 0
        gate.keepAddress(request, exchange)
        if !exchange.upgrade(answer.head, to: client) { node.clients.abandon(client) }
    }
}
