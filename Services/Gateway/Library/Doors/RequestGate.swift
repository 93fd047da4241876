import EventLoop
import HTTP
import Models
import ServiceRuntime
import Store
import Tokens

/// The checks of a request before it is served: where it comes from, whether it can be served now, and who sends it. A check
/// that answers nil or false has answered the request. Loop thread only.
final class RequestGate {
    private let node: GatewayNode
    private let admission: Admission
    private let origins: OriginPolicy
    private let log: Log

    init(node: GatewayNode, admission: Admission, origins: OriginPolicy, log: Log) {
        self.node = node
        self.admission = admission
        self.origins = origins
        self.log = log
    }

    // MARK: Whether a session is let in

    /// Whether a request for a session goes on. The router of REST makes the same checks.
    func admits(_ request: HTTPRequest, _ exchange: HTTPExchange) -> Bool {
        guard isOfAllowedOrigin(request, exchange) else { return false }
        guard request.method == "GET" else {
            refuseMethod(request, exchange)
            return false
        }
        guard let refusal = refusal(of: request, exchange) else { return true }
        exchange.respond(refusal)
        return false
    }

    /// A web page may come from where the operator says. A client that is no browser names no origin.
    private func isOfAllowedOrigin(_ request: HTTPRequest, _ exchange: HTTPExchange) -> Bool {
        let origin = origins.verdict(request)
        exchange.addedHeaders = origins.headers(origin)
        guard origin == .refused else { return true }
        count(.origin)
        note(.origin, request, exchange)
        exchange.respond(OriginPolicy.refusal)
        return false
    }

    private func refuseMethod(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        if request.method == "OPTIONS" {
            return exchange.respond(origins.preflight(request, origins.verdict(request), methods: "GET, OPTIONS"))
        }
        exchange.respond(
            .problem(
                status: 405, name: "method_not_allowed", detail: "This path takes GET.", headers: [("Allow", "GET")]))
    }

    func comeBackLater(_ request: HTTPRequest, _ exchange: HTTPExchange, _ why: RefusalLabel) {
        exchange.respond(laterAnswer(request, why, after: node.settings.admission.jitteredRetry()))
    }

    /// Counts a request that cannot be served now, and makes its answer.
    /// - Parameter delay: after how many ms the client may come back.
    private func laterAnswer(_ request: HTTPRequest, _ why: RefusalLabel, after delay: UInt64) -> HTTPResponse {
        let why = why == .redis && node.lease.refusesWrites ? .writes : why
        node.metrics.doors.refusals[why].increment()
        log.debug("a client is asked to come back", ["reason": .name(why)])
        var response: HTTPResponse
        if request.path == "/connection/sse" {
            response = EventStream.comeBack(after: delay)
        } else {
            let problem = why.problem
            response = .problem(
                status: problem.status, name: problem.name, detail: problem.detail,
                headers: [("Retry-After", String((delay + 999) / 1000))])
        }
        // The gateway needs its descriptor.
        response.closes = true
        return response
    }

    // MARK: Who sends it

    enum Credential {
        case bearer(TokenClaims)
        case ticket(String)
        case none
    }

    /// The bearer token's claims, or the name of a ticket. Answers the request itself, and nil, if the token is refused.
    ///
    /// An `Authorization` of another scheme is ignored. It may be for a proxy before the gateway, as on a site behind HTTP Basic.
    func credential(_ request: HTTPRequest, _ exchange: HTTPExchange) -> Credential? {
        if let token = bearerToken(of: request) {
            switch node.credentials.claims(token) {
            case .success(let claims): return .bearer(claims)
            case .failure(let error):
                refuse(request, exchange, error)
                return nil
            }
        }
        if let ticket = request.query("ticket"), !ticket.isEmpty { return .ticket(ticket) }
        return Credential.none
    }

    /// The device that the query names, if it is a valid id.
    func device(_ request: HTTPRequest) -> String? {
        request.query("device").flatMap { DeviceID($0)?.text }
    }

    func identity(_ claims: TokenClaims, _ request: HTTPRequest) -> Client.Identity? {
        PersonID(claims.subject).map {
            Client.Identity(claims, $0, device: device(request))
        }
    }

    /// Calls `body` if the token of the identity was not revoked. Otherwise it answers the request itself.
    func unlessRevoked(
        _ identity: Client.Identity, _ request: HTTPRequest, _ exchange: HTTPExchange, _ body: @escaping () -> Void
    ) {
        node.credentials.standing(of: identity) { [self] standing in
            switch standing {
            case .good: body()
            case .revoked: refuse(request, exchange, .invalid(.revoked))
            case .unknown: comeBackLater(request, exchange, .redis)
            }
        }
    }

    // MARK: Refusals

    func refuse(_ request: HTTPRequest, _ exchange: HTTPExchange, _ error: TokenError) {
        count(RefusalCause(error))
        node.credentials.refusals.note(error, from: admission.address(request, exchange))
        exchange.respond(tokenProblem(error))
    }

    /// Refuses a request for another reason than the fault of a token. `detail` names it.
    func refuse(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ cause: RefusalCause, _ detail: String
    ) {
        count(cause)
        note(cause, request, exchange)
        exchange.respond(.unauthorised("token_invalid", detail))
    }

    private func note(_ cause: RefusalCause, _ request: HTTPRequest, _ exchange: HTTPExchange) {
        node.credentials.refusals.note(cause, from: admission.address(request, exchange))
    }

    /// Counts a newcomer that was not let in. A caller with a wrong API key is an operator, and no newcomer.
    private func count(_ cause: RefusalCause) {
        switch cause {
        case .apiKey, .apiKeyTrials: break
        case .origin: node.metrics.doors.refusals[.origin].increment()
        default: node.metrics.doors.refusals[.token].increment()
        }
    }

    /// Keeps where a connection comes from, for the log line of a refusal after its request is over.
    func keepAddress(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        node.credentials.refusals.keep(admission.clientAddress(request, exchange))
    }
}

// The router of REST asks the same.
extension RequestGate: RESTAdmission {
    func refusal(of request: HTTPRequest, _ exchange: HTTPExchange) -> HTTPResponse? {
        admission.refusal(of: request, exchange).map { laterAnswer(request, $0.why, after: $0.delay) }
    }

    func storeIsAway(for request: HTTPRequest) -> HTTPResponse {
        laterAnswer(request, .redis, after: node.settings.admission.jitteredRetry())
    }

    func refused(_ cause: RefusalCause) { count(cause) }
}
