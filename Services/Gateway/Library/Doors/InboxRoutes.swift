import Centrifuge
import EventLoop
import HTTP
import Models
import ServiceRuntime
import Store
import Tokens

/// `GET /v1/inbox`, and what clients of SSE and long poll have received and read: `POST /v1/inbox/ack` and `/read`. Loop
/// thread only.
final class InboxRoutes {
    /// Notifications of one answer, where the request does not say how many; and the most that it may ask for.
    private static let usualLimit = 100
    private static let highestLimit = 1000

    private let node: GatewayNode
    private let gate: RequestGate

    init(node: GatewayNode, gate: RequestGate) {
        self.node = node
        self.gate = gate
    }

    // MARK: Reading

    func read(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let claims = gate.bearer(request, exchange), let person = PersonID(claims.subject) else { return }
        var limit = Self.usualLimit
        if let text = request.query("limit") {
            guard let number = Int(text), (1...Self.highestLimit).contains(number) else {
                return exchange.respond(
                    .problem(status: 400, name: "invalid_limit", detail: "limit is a number from 1 to \(Self.highestLimit)."))
            }
            limit = number
        }
        let after = request.query("after").flatMap { $0.isEmpty ? nil : $0 }
        let cursor = after.flatMap { Cursor($0) }
        gate.unlessRevoked(claims, person, request, exchange) { [self] in
            readInbox(person, after, cursor, limit, request, exchange)
        }
    }

    private func readInbox(
        _ person: PersonID, _ after: String?, _ cursor: Cursor?, _ limit: Int, _ request: HTTPRequest,
        _ exchange: HTTPExchange
    ) {
        let start: InboxStart = cursor.map { .after($0.position) } ?? .floor
        read(person, start, limit, request, exchange) { [self] page in
            // What it asked to go on from is gone: it gets what there is, and is told that there was more.
            if after != nil, cursor == nil || !page.recovered {
                guard cursor != nil else { return exchange.respond(.json(InboxAnswer.json(page, recovered: false))) }
                return read(person, .floor, limit, request, exchange) {
                    exchange.respond(.json(InboxAnswer.json($0, recovered: false)))
                }
            }
            exchange.respond(.json(InboxAnswer.json(page, recovered: true, after: cursor)))
        }
    }

    private func read(
        _ person: PersonID, _ start: InboxStart, _ limit: Int, _ request: HTTPRequest, _ exchange: HTTPExchange,
        _ body: @escaping (InboxPage) -> Void
    ) {
        node.sessions.inbox.page(of: person, from: start, limit: limit) { [self] result in
            switch result {
            case .success(let page): body(page)
            case .failure: gate.comeBackLater(request, exchange, .redis)
            }
        }
    }

    // MARK: Marks

    func acknowledge(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let claims = gate.bearer(request, exchange), let person = PersonID(claims.subject),
            let (parameters, selection) = parameters(request, exchange)
        else { return }
        node.metrics.calls.made[.ack].increment()
        // Whoever names the transport says that it was received live over it.
        let transport = parameters.transport.flatMap(TransportLabel.init(rawValue:))
        let name = ClientName(parameters.name)
        gate.unlessRevoked(claims, person, request, exchange) { [self] in
            node.sessions.inbox.acknowledge(selection, of: person) { [self] result in
                if case .success(let done) = result, done.isFirst, done.accepted > 0, let transport {
                    node.metrics.calls.acknowledgements[transport][name].observe(milliseconds: EventLoop.wallClock() - done.accepted)
                }
                answer(result.map(\.counts), request, exchange)
            }
        }
    }

    func markRead(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let claims = gate.bearer(request, exchange), let person = PersonID(claims.subject),
            let (_, selection) = parameters(request, exchange)
        else { return }
        node.metrics.calls.made[.read].increment()
        gate.unlessRevoked(claims, person, request, exchange) { [self] in
            node.marks.mark(.read(selection), of: person) { [self] in answer($0, request, exchange) }
        }
    }

    /// The body; answers the request itself, and nil, if it will not do.
    private func parameters(
        _ request: HTTPRequest, _ exchange: HTTPExchange
    ) -> (CallParameters, InboxSelection)? {
        do throws(ReplyError) {
            var at = 0
            let bytes = request.body.span
            let parameters = try CallParameters(bytes, &at)
            JSON.skipSpace(bytes, &at)
            guard at == bytes.count else { throw .badRequest("something stands behind the object") }
            let selection = try parameters.selection()
            if case .ids(let ids) = selection, ids.count > node.settings.callIDs {
                refuse(exchange, .ids, "At most \(node.settings.callIDs) ids are taken at a time.")
                return nil
            }
            return (parameters, selection)
        } catch {
            refuse(exchange, .form, "The body is a JSON object: \(error.message).")
            return nil
        }
    }

    private func refuse(_ exchange: HTTPExchange, _ why: CallRefusalLabel, _ detail: String) {
        node.metrics.calls.refusals[why].increment()
        exchange.respond(.problem(status: 400, name: "invalid_request", detail: detail))
    }

    private func answer(_ result: Result<InboxCounts, StoreError>, _ request: HTTPRequest, _ exchange: HTTPExchange) {
        switch result {
        case .success(let counts): exchange.respond(.json(counts.json))
        case .failure:
            node.metrics.calls.refusals[.redis].increment()
            gate.comeBackLater(request, exchange, .redis)
        }
    }
}
