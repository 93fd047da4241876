import Centrifuge
import EventLoop
import HTTP
import Models
import ServiceRuntime
import Store
import Tokens

/// Tickets: `POST /v1/connect` makes them, and sessions use them. A WebSocket uses its ticket up. An EventSource and a poll
/// repeat their URL, so their tickets live on. A copied URL is of no use, because each use after the first must show a cursor
/// with a tag, and ends the use before it (`Ticket.use`). Loop thread only.
final class TicketDesk {
    /// Random bytes of a ticket's name.
    private static let nameBytes = 24

    /// A ticket that may be used, who uses it, and how.
    struct Bearer {
        let name: String
        let stored: StoredTicket
        let use: TicketUse
        let identity: Client.Identity
        /// Tags the cursors of this use.
        let key: TagKey
    }

    private let node: GatewayNode
    let gate: RequestGate
    private let tickets: Tickets
    private let announcer: Announcer

    init(node: GatewayNode, gate: RequestGate, tickets: Tickets, announcer: Announcer) {
        self.node = node
        self.gate = gate
        self.tickets = tickets
        self.announcer = announcer
    }

    func add(to router: RESTRouter) {
        router.on("POST", "/v1/connect", .person) { [self] call in
            guard let claims = call.claims, let person = call.personID() else { return }
            make(claims, person, call)
        }
    }

    private func make(_ claims: TokenClaims, _ person: PersonID, _ call: RESTCall) {
        let request = call.request
        let name = base64url(randomBytes(Self.nameBytes))
        let now = EventLoop.wallClock()
        let lifetime = min(node.settings.tickets.lifetime, .seconds(claims.expires) - .milliseconds(now))
        let ticket = Ticket(
            person: person, expires: claims.expires, channels: claims.channels, info: claims.info,
            device: claims.device ?? gate.device(request), token: claims.idHash, issued: claims.issuedAt ?? 0,
            key: TagKey(), freshUntil: now + Int64(lifetime / .milliseconds(1)))
        tickets.create(name, ticket, lifetime: lifetime) { [self] result in
            guard case .success = result else { return call.respond(gate.storeIsAway(for: request)) }
            call.respond(
                .json(
                    TicketURLs(
                        request, node.settings.tickets.publicURL, name, person, speaksTLS: node.settings.certificate != nil
                    ).json()))
        }
    }

    /// Calls `body` with a ticket that lives on, if a client with that cursor may use it. Otherwise it answers the request itself.
    func use(
        _ name: String, showing cursor: String?, _ request: HTTPRequest, _ exchange: HTTPExchange,
        _ body: @escaping (Bearer) -> Void
    ) {
        tickets.read(name) { [self] result in
            switch result {
            case .success(let stored?):
                guard let bearer = bearer(of: stored, name, cursor, request, exchange) else { return }
                body(bearer)
            case .success(nil): refuseTicket(request, exchange)
            case .failure: gate.comeBackLater(request, exchange, .redis)
            }
        }
    }

    /// Uses a ticket up and calls `body`. Otherwise it answers the request itself.
    func useUp(
        _ name: String, _ request: HTTPRequest, _ exchange: HTTPExchange, _ body: @escaping (Client.Identity) -> Void
    ) {
        // The ticket is checked first: a client that may not use it must not take it from its reader either.
        use(name, showing: nil, request, exchange) { [self] bearer in
            tickets.take(name) { [self] result in
                switch result {
                case .success(let ticket?):
                    endLatestUse(of: ticket)
                    body(bearer.identity)
                case .success(nil): refuseTicket(request, exchange)
                case .failure: gate.comeBackLater(request, exchange, .redis)
                }
            }
        }
    }

    /// Marks a ticket with its latest use, and ends the use before it. `completion` is told whether that was done.
    func mark(
        _ bearer: Bearer, _ client: Client, _ begin: StreamPosition, _ completion: @escaping (Bool) -> Void
    ) {
        let former = bearer.stored.ticket
        var used = former.used(bearer.use, from: begin, connection: node.lease.connection(client.name).description)
        used.key = bearer.key
        tickets.replace(bearer.name, bearer.stored, with: used) { [self] result in
            guard case .success(true) = result else {
                // Another use came between, perhaps an earlier one of the same client. The client comes back and ends that one.
                client.disconnect(.serverError)
                return completion(false)
            }
            endLatestUse(of: former)
            completion(true)
        }
    }

    /// Closes the connection of the latest use.
    private func endLatestUse(of ticket: Ticket) {
        if let connection = ticket.connection.flatMap({ ConnectionID($0) }) { announcer.close(connection, .replaced) }
    }

    /// Who uses the ticket. Answers the request itself, and nil, if the ticket may not be used so.
    private func bearer(
        of stored: StoredTicket, _ name: String, _ cursor: String?, _ request: HTTPRequest, _ exchange: HTTPExchange
    ) -> Bearer? {
        let ticket = stored.ticket
        let now = EventLoop.wallClock()
        guard let use = ticket.use(showing: cursor, at: now) else {
            gate.refuse(request, exchange, .ticket, "The ticket has been used, and no cursor is shown that its latest use gave out.")
            return nil
        }
        guard ticket.expires > now / 1000 else {
            gate.refuse(request, exchange, .expired(secondsAgo: now / 1000 - ticket.expires))
            return nil
        }
        guard !node.credentials.outlives(ticket) else {
            gate.refuse(request, exchange, .invalid(.livesTooLong))
            return nil
        }
        let identity = Client.Identity(
            person: ticket.person, device: ticket.device ?? gate.device(request), expires: ticket.expires, token: ticket.token,
            issued: ticket.issued, grants: Grants(channels: ticket.channels, info: ticket.info))
        return Bearer(name: name, stored: stored, use: use, identity: identity, key: ticket.key ?? TagKey())
    }

    private func refuseTicket(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        gate.refuse(request, exchange, .ticket, "The ticket is unknown, used or expired.")
    }
}
