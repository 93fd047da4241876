import EventLoop
import HTTP
import ServiceRuntime

/// Long polling: `/connection/poll?cursor=…&wait=30`. Loop thread only.
final class PollDoor {
    /// How long a poll without `wait` waits, in seconds, unless less is allowed.
    private static let usualWait = 30

    private let node: GatewayNode
    private let tickets: TicketDesk

    init(node: GatewayNode, tickets: TicketDesk) {
        self.node = node
        self.tickets = tickets
    }

    func open(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let patience = patience(request) else {
            return exchange.respond(
                .problem(status: 400, name: "invalid_wait", detail: "wait is a number of seconds, from 0 on."))
        }
        // A poll repeats its URL as an EventSource does, so its ticket is kept by the same rules. The registration asks whether
        // the token was revoked. Nothing is written before that is answered.
        tickets.identify(request, exchange, showing: request.pollCursor) { [self] reader in
            begin(reader, patience, request, exchange)
        }
    }

    /// In seconds; nil if the query's `wait` is no number. If it is more than is allowed, the answer comes earlier.
    private func patience(_ request: HTTPRequest) -> Int? {
        guard let text = request.query("wait") else { return min(Self.usualWait, node.settings.liveness.pollMaxWait) }
        guard let seconds = Int(text), seconds >= 0 else { return nil }
        return min(seconds, node.settings.liveness.pollMaxWait)
    }

    private func begin(_ reader: CursorReader, _ patience: Int, _ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let stream = exchange.stream else { return }
        // A client with a cursor has its state already, so this is not its first update.
        let opening = reader.cursor == nil ? Opening(at: exchange.began, name: ClientName(request.query("name"))) : nil
        // A poll that does not wait for notifications still waits for Redis.
        let deadline = patience > 0 ? patience : node.settings.liveness.pollMaxWait
        let client = node.clients.insert(firstDue: deadline) { name in
            PollClient(node: node, stream: stream, name: name, exchange: exchange, reader: reader, patience: patience)
        }
        node.registry.register(client, from: reader.start, opening: opening)
    }
}

extension HTTPRequest {
    /// The cursor that a poll shows. It is in the URL, or in a header field, which is not in logs of URLs.
    var pollCursor: String? {
        let text = query("cursor") ?? header("last-event-id")
        return text?.isEmpty == true ? nil : text
    }
}
