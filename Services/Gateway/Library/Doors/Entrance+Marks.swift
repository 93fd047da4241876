import Centrifuge
import EventLoop
import HTTP
import Models
import Redis
import ServiceRuntime
import Store
import Tokens

// What clients of SSE and long poll have received and read: `POST /v1/inbox/ack` and `/read`.
extension Entrance {
    func acknowledge(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let claims = bearer(request, exchange), let person = PersonID(claims.subject),
            let (parameters, selection) = parameters(request, exchange)
        else { return }
        hub.metrics.calls[.ack].increment()
        // Whoever names the transport says that it was received live over it.
        let transport = parameters.transport.flatMap(TransportLabel.init(rawValue:))
        let name = ClientName(parameters.name)
        unlessRevoked(claims, person, request, exchange) { [self] in
            hub.inbox.acknowledge(selection, of: person) { [self] result in
                if case .success(let done) = result, done.isFirst, done.accepted > 0, let transport {
                    hub.metrics.delivery[transport][name].observe(milliseconds: EventLoop.wallClock() - done.accepted)
                }
                answer(result.map(\.counts), request, exchange)
            }
        }
    }

    func markRead(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let claims = bearer(request, exchange), let person = PersonID(claims.subject),
            let (_, selection) = parameters(request, exchange)
        else { return }
        hub.metrics.calls[.read].increment()
        unlessRevoked(claims, person, request, exchange) { [self] in
            hub.mark(.read(selection), of: person) { [self] in answer($0, request, exchange) }
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
            if case .ids(let ids) = selection, ids.count > hub.settings.callIDs {
                refuse(exchange, .ids, "At most \(hub.settings.callIDs) ids are taken at a time.")
                return nil
            }
            return (parameters, selection)
        } catch {
            refuse(exchange, .form, "The body is a JSON object: \(error.message).")
            return nil
        }
    }

    private func refuse(_ exchange: HTTPExchange, _ why: CallRefusalLabel, _ detail: String) {
        hub.metrics.callRefusals[why].increment()
        exchange.respond(.problem(status: 400, name: "invalid_request", detail: detail))
    }

    private func answer(_ result: Result<InboxCounts, StoreError>, _ request: HTTPRequest, _ exchange: HTTPExchange) {
        switch result {
        case .success(let counts): exchange.respond(.json(counts.json))
        case .failure:
            hub.metrics.callRefusals[.redis].increment()
            comeBackLater(request, exchange, .redis)
        }
    }
}
