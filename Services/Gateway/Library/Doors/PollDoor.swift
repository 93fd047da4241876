import EventLoop
import HTTP
import Models
import Network
import ServiceRuntime
import Store
import Tokens

/// Long polling: `/connection/poll?cursor=…&wait=30`. Loop thread only.
final class PollDoor {
    /// How long a poll without `wait` waits, in seconds, unless less is allowed.
    private static let usualWait = 30

    private let node: GatewayNode
    private let gate: RequestGate
    private let tickets: TicketDesk

    init(node: GatewayNode, gate: RequestGate, tickets: TicketDesk) {
        self.node = node
        self.gate = gate
        self.tickets = tickets
    }

    func open(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let patience = patience(request) else {
            return exchange.respond(
                .problem(status: 400, name: "invalid_wait", detail: "wait is a number of seconds, from 0 on."))
        }
        let shown = request.pollCursor
        switch gate.credential(request, exchange) {
        case .bearer(let claims)?:
            guard let identity = gate.identity(claims, request) else { return }
            wait(request, exchange, identity, shown, patience, key: nil, onBegin: nil)
        case .ticket(let name)?:
            // A poll repeats its URL as an `EventSource` does, and its ticket is kept by the same rules.
            tickets.use(name, showing: shown, request, exchange) { [self] ticket in
                wait(request, exchange, ticket.identity, shown, patience, key: ticket.key) { [self] client, begin, release in
                    // Before the answer goes: the poll that follows it must find this one's mark.
                    tickets.mark(ticket, client, begin) { if $0 { release() } }
                }
            }
        case .none?: gate.refuse(request, exchange, .missing, "There is neither a token nor a ticket.")
        case nil: break
        }
    }

    /// Seconds; nil if the query's `wait` is no number. More than is allowed is cut, for then the answer only comes earlier.
    private func patience(_ request: HTTPRequest) -> Int? {
        guard let text = request.query("wait") else { return min(Self.usualWait, node.settings.pollMaxWait) }
        guard let seconds = Int(text), seconds >= 0 else { return nil }
        return min(seconds, node.settings.pollMaxWait)
    }

    private func wait(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ identity: Client.Identity, _ shown: String?, _ patience: Int,
        key: TagKey?, onBegin: PollClient.Begin?
    ) {
        guard let stream = exchange.stream else { return }
        // One that brings a cursor has its state already, and waits for what is new.
        let opening = Cursor(shown ?? "") == nil ? Opening(at: exchange.began, name: ClientName(request.query("name"))) : nil
        // A poll that waits for nothing waits for Redis.
        let deadline = patience > 0 ? patience : node.settings.pollMaxWait
        let client = node.clients.insert(firstDue: deadline) { name in
            PollClient(
                node: node, stream: stream, name: name, exchange: exchange, identity: identity, patience: patience,
                key: key, onBegin: onBegin)
        }
        node.registry.register(client, from: InboxStart(shown), opening: opening)
    }
}

extension HTTPRequest {
    /// What a poll shows of where it stands: in its URL, or in a header field, which no log of URLs has.
    var pollCursor: String? {
        let text = query("cursor") ?? header("last-event-id")
        return text?.isEmpty == true ? nil : text
    }
}
