import EventLoop
import HTTP
import Models
import ServiceRuntime
import Store
import Tokens

/// What every path asks of a request before it is served: where it comes from, whether it can be served now, and who sends it.
/// Each question that is answered with nil or false has answered the request. Loop thread only.
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

    // MARK: Whether it is served

    /// A web page may come from where the operator says; who is no browser names no origin.
    func isOfAllowedOrigin(_ request: HTTPRequest, _ exchange: HTTPExchange) -> Bool {
        let origin = origins.verdict(request)
        exchange.addedHeaders = origins.headers(origin)
        guard origin == .refused else { return true }
        node.metrics.doors.refusals[.origin].increment()
        note(.origin, request, exchange)
        exchange.respond(OriginPolicy.refusal)
        return false
    }

    /// Who cannot be served now is told before anything is looked at.
    func admits(_ request: HTTPRequest, _ exchange: HTTPExchange, _ methods: [String]) -> Bool {
        guard methods.contains(request.method) else {
            refuseMethod(request, exchange, allowed: methods.joined(separator: ", "))
            return false
        }
        guard let (why, delay) = admission.refusal(of: request, exchange) else { return true }
        comeBackLater(request, exchange, why, delay: delay)
        return false
    }

    private func refuseMethod(_ request: HTTPRequest, _ exchange: HTTPExchange, allowed: String) {
        if request.method == "OPTIONS" {
            return exchange.respond(
                origins.preflight(request, origins.verdict(request), methods: allowed + ", OPTIONS"))
        }
        exchange.respond(
            .problem(
                status: 405, name: "method_not_allowed", detail: "This path takes \(allowed).",
                headers: [("Allow", allowed)]))
    }

    /// An EventSource stops for good at any status but 200, so it gets one, with nothing in it but when to come back.
    func comeBackLater(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ why: RefusalLabel, delay: UInt64? = nil
    ) {
        let why = why == .redis && node.lease.refusesWrites ? .writes : why
        node.metrics.doors.refusals[why].increment()
        log.debug("a client is asked to come back", ["reason": .name(why)])
        let delay = delay ?? node.settings.jitteredRetry()
        var response: HTTPResponse
        if request.path == "/connection/sse" {
            response = HTTPResponse(
                status: 200,
                headers: [
                    ("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"),
                ], body: EventStream.retry(delay))
        } else {
            let problem = why.problem
            response = .problem(
                status: problem.status, name: problem.name, detail: problem.detail,
                headers: [("Retry-After", String((delay + 999) / 1000))])
        }
        // Its descriptor is wanted.
        response.closes = true
        exchange.respond(response)
    }

    // MARK: Who sends it

    enum Credential {
        case bearer(TokenClaims)
        case ticket(String)
        case none
    }

    /// The bearer token's claims, or the name of a ticket. Answers the request itself, and nil, if the token is refused.
    ///
    /// An `Authorization` of another scheme is not ours: it may be for a proxy in front of us, as on a site behind HTTP Basic.
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

    /// Claims of a bearer token, for the paths that take nothing else.
    func bearer(_ request: HTTPRequest, _ exchange: HTTPExchange) -> TokenClaims? {
        switch credential(request, exchange) {
        case .bearer(let claims)?: return claims
        case .none?, .ticket?:
            refuse(request, exchange, .missing, "This path takes a token as Authorization: Bearer.")
            return nil
        case nil: return nil
        }
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

    /// Goes on if the token behind the identity has not been revoked, and else answers the request itself.
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

    /// The same for a path of REST, whose identity is the token's alone.
    func unlessRevoked(
        _ claims: TokenClaims, _ person: PersonID, _ request: HTTPRequest, _ exchange: HTTPExchange,
        _ body: @escaping () -> Void
    ) {
        unlessRevoked(Client.Identity(claims, person, device: nil), request, exchange, body)
    }

    // MARK: Refusals

    func refuse(_ request: HTTPRequest, _ exchange: HTTPExchange, _ error: TokenError) {
        node.metrics.doors.refusals[.token].increment()
        node.credentials.refusals.note(error, from: admission.address(request, exchange))
        exchange.respond(tokenProblem(error))
    }

    /// For what is no fault of a token: `detail` says what was wrong.
    func refuse(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ cause: RefusalCause, _ detail: String
    ) {
        node.metrics.doors.refusals[.token].increment()
        note(cause, request, exchange)
        exchange.respond(.unauthorised("token_invalid", detail))
    }

    /// Counts a refusal whose answer is its caller's own.
    func note(_ cause: RefusalCause, _ request: HTTPRequest, _ exchange: HTTPExchange) {
        node.credentials.refusals.note(cause, from: admission.address(request, exchange))
    }

    /// Keeps where a connection comes from that will outlive its request, for the line of a later refusal.
    func keepAddress(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        node.credentials.refusals.keep(admission.clientAddress(request, exchange))
    }
}
