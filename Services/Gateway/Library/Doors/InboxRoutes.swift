import Centrifuge
import EventLoop
import HTTP
import Models
import ServiceRuntime
import Store
import Tokens

/// `GET /v1/inbox`, and `POST /v1/inbox/ack` and `/read`, by which clients of SSE and long poll acknowledge and mark. Loop
/// thread only.
final class InboxRoutes {
    /// How many notifications an answer holds if the request does not say it, and how many the request may ask for.
    private static let usualLimit = 100
    private static let highestLimit = 1000

    private let node: GatewayNode
    private let gate: RequestGate

    init(node: GatewayNode, gate: RequestGate) {
        self.node = node
        self.gate = gate
    }

    func add(to router: RESTRouter) {
        router.on("GET", "/v1/inbox", .person) { [self] call in
            if let person = call.personID() { answerPage(of: person, call) }
        }
        router.on("POST", "/v1/inbox/ack", .person) { [self] call in
            if let person = call.personID() { acknowledge(person, call) }
        }
        router.on("POST", "/v1/inbox/read", .person) { [self] call in
            if let person = call.personID() { markRead(person, call) }
        }
    }

    // MARK: Reading

    private func answerPage(of person: PersonID, _ call: RESTCall) {
        guard let limit = limit(call) else { return }
        let after = call.request.query("after").flatMap { $0.isEmpty ? nil : $0 }
        let cursor = after.flatMap { Cursor($0) }
        page(of: person, from: cursor.map { .after($0.position) } ?? .floor, limit, call) { [self] page in
            // The entries behind the cursor are gone. The client gets all that is left, and is told that there was more.
            if after != nil, cursor == nil || !page.recovered {
                guard cursor != nil else { return call.respond(.json(InboxAnswer(page, recovered: false).json)) }
                return self.page(of: person, from: .floor, limit, call) {
                    call.respond(.json(InboxAnswer($0, recovered: false).json))
                }
            }
            call.respond(.json(InboxAnswer(page, recovered: true, after: cursor).json))
        }
    }

    /// How many notifications the answer may hold. Answers the call itself, and nil, if the query's `limit` is wrong.
    private func limit(_ call: RESTCall) -> Int? {
        guard let text = call.request.query("limit") else { return Self.usualLimit }
        if let number = Int(text), (1...Self.highestLimit).contains(number) { return number }
        call.respond(.problem(status: 400, name: "invalid_limit", detail: "limit is a number from 1 to \(Self.highestLimit)."))
        return nil
    }

    private func page(
        of person: PersonID, from start: InboxStart, _ limit: Int, _ call: RESTCall, _ body: @escaping (InboxPage) -> Void
    ) {
        node.sessions.inbox.page(of: person, from: start, limit: limit) { [self] result in
            switch result {
            case .success(let page): body(page)
            case .failure: call.respond(gate.storeIsAway(for: call.request))
            }
        }
    }

    // MARK: Marks

    private func acknowledge(_ person: PersonID, _ call: RESTCall) {
        guard let (parameters, selection) = parameters(call) else { return }
        node.metrics.calls.made[.ack].increment()
        // A client that names its transport says that it has received the notification live.
        let transport = parameters.transport.flatMap(TransportLabel.init(rawValue:))
        let name = ClientName(parameters.name)
        node.sessions.inbox.acknowledge(selection, of: person) { [self] result in
            if case .success(let done) = result, done.isFirst, done.accepted > 0, let transport {
                node.metrics.calls.acknowledgements[transport][name].observe(milliseconds: EventLoop.wallClock() - done.accepted)
            }
            answer(result.map(\.counts), call)
        }
    }

    private func markRead(_ person: PersonID, _ call: RESTCall) {
        guard let (_, selection) = parameters(call) else { return }
        node.metrics.calls.made[.read].increment()
        node.marks.mark(.read(selection), of: person) { [self] in answer($0, call) }
    }

    /// Reads the body. Answers the call itself, and nil, if the body is wrong.
    private func parameters(_ call: RESTCall) -> (CallParameters, InboxSelection)? {
        do throws(ReplyError) {
            var at = 0
            let body = call.request.body
            let bytes = body.span
            let parameters = try CallParameters(bytes, &at)
            JSON.skipSpace(bytes, &at)
            guard at == bytes.count else { throw .badRequest("something stands behind the object") }
            let selection = try parameters.selection()
            if case .ids(let ids) = selection, ids.count > node.settings.calls.ids {
                refuse(call, .ids, "At most \(node.settings.calls.ids) ids are taken at a time.")
                return nil
            }
            return (parameters, selection)
        } catch {
            refuse(call, .form, "The body is a JSON object: \(error.message).")
            return nil
        }
    }

    private func refuse(_ call: RESTCall, _ why: CallRefusalLabel, _ detail: String) {
        node.metrics.calls.refusals[why].increment()
        call.refuse(detail)
    }

    private func answer(_ result: Result<InboxCounts, StoreError>, _ call: RESTCall) {
        switch result {
        case .success(let counts): call.respond(.json(counts.json))
        case .failure:
            node.metrics.calls.refusals[.redis].increment()
            call.respond(gate.storeIsAway(for: call.request))
        }
    }
}
