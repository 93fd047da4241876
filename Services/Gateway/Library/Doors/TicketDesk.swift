import Centrifuge
import EventLoop
import HTTP
import Models
import ServiceRuntime
import Store
import Tokens

/// Tickets: `POST /v1/connect`, and who comes with one. A WebSocket takes its ticket away. An EventSource and a poll repeat
/// their URL, so theirs lives on, and what keeps a copied URL from being of use is that each use after the first must show a
/// cursor with a tag, and ends the use before it (`Ticket.use`). Loop thread only.
final class TicketDesk {
    /// Random bytes of a ticket's name.
    private static let nameBytes = 24

    /// A ticket that may be used, by whom, and what is written once that has begun.
    struct Bearer {
        let name: String
        let stored: StoredTicket
        let use: TicketUse
        let identity: Client.Identity
        /// What tags the cursors of this use.
        let key: TagKey
    }

    private let node: GatewayNode
    private let gate: RequestGate
    private let tickets: Tickets
    private let announcer: Announcer

    init(node: GatewayNode, gate: RequestGate, tickets: Tickets, announcer: Announcer) {
        self.node = node
        self.gate = gate
        self.tickets = tickets
        self.announcer = announcer
    }

    func make(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let claims = gate.bearer(request, exchange), let person = PersonID(claims.subject) else { return }
        gate.unlessRevoked(claims, person, request, exchange) { [self] in make(claims, person, request, exchange) }
    }

    private func make(
        _ claims: TokenClaims, _ person: PersonID, _ request: HTTPRequest, _ exchange: HTTPExchange
    ) {
        let name = base64url(randomBytes(Self.nameBytes))
        let now = EventLoop.wallClock()
        let lifetime = min(node.settings.ticketLifetime, .seconds(claims.expires) - .milliseconds(now))
        let ticket = Ticket(
            person: person, expires: claims.expires, channels: claims.channels, info: claims.info,
            device: claims.device ?? gate.device(request), token: claims.idHash, issued: claims.issuedAt ?? 0,
            key: TagKey(), freshUntil: now + Int64(lifetime / .milliseconds(1)))
        tickets.create(name, ticket, lifetime: lifetime) { [self] result in
            guard case .success = result else { return gate.comeBackLater(request, exchange, .redis) }
            exchange.respond(
                .json(
                    TicketURLs(
                        request, node.settings.publicURL, name, person, speaksTLS: node.settings.certificate != nil
                    ).json()))
        }
    }

    /// Goes on with a ticket that lives on, if it may be used by somebody who shows that cursor; else answers the request itself.
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

    /// Goes on with a ticket that nobody can use after this; else answers the request itself.
    func take(
        _ name: String, _ request: HTTPRequest, _ exchange: HTTPExchange, _ body: @escaping (Client.Identity) -> Void
    ) {
        // Looked at first: whoever may not use it must not take it from its reader either.
        use(name, showing: nil, request, exchange) { [self] bearer in
            tickets.take(name) { [self] result in
                switch result {
                case .success(let ticket?):
                    end(ticket)
                    body(bearer.identity)
                case .success(nil): refuseTicket(request, exchange)
                case .failure: gate.comeBackLater(request, exchange, .redis)
                }
            }
        }
    }

    /// Marks a ticket with its latest use, and ends the use before it. `completion` is told whether it could.
    func mark(
        _ bearer: Bearer, _ client: Client, _ begin: StreamPosition, _ completion: @escaping (Bool) -> Void
    ) {
        let former = bearer.stored.ticket
        var used = former.used(bearer.use, from: begin, connection: node.lease.connection(client.name).description)
        used.key = bearer.key
        tickets.replace(bearer.name, bearer.stored, with: used) { [self] result in
            guard case .success(true) = result else {
                // Another use came between, perhaps its own that it gave up: it comes back and ends that one.
                client.disconnect(.serverError)
                return completion(false)
            }
            end(former)
            completion(true)
        }
    }

    /// Ends the latest use.
    private func end(_ ticket: Ticket) {
        if let connection = ticket.connection.flatMap({ ConnectionID($0) }) { announcer.end(connection, .replaced) }
    }

    /// Answers the request itself, and nil, if the ticket may not be used so.
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
