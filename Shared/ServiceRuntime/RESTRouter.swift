public import EventLoop
public import HTTP
public import Network
public import Settings
public import Tokens

/// Who may call a route.
public enum RESTAccess: Sendable {
    case open
    /// `X-API-Key`: producers and operators.
    case apiKey
    /// `Authorization: Bearer`: the person of the token.
    case person
    /// No caller: what the route needs is not configured. The answer is that of a wrong API key.
    case nobody
}

/// What a service adds to its router that cannot serve every caller at every time. Loop thread only.
public protocol RESTAdmission: AnyObject {
    /// The answer to a request that cannot be served now; nil if it can. Asked for each request that has a route, before its
    /// credential is looked at.
    func refusal(of request: HTTPRequest, _ exchange: HTTPExchange) -> HTTPResponse?
    /// The answer where the store that knows of revoked tokens is away.
    func storeIsAway(for request: HTTPRequest) -> HTTPResponse
    /// A caller was refused for its credential or its origin. The router has counted that already.
    func refused(_ cause: RefusalCause)
}

/// The REST front that services share: routes, credentials, problem documents for what is refused (RFC 9457), and
/// `carillon_rest_requests_total` with `carillon_rest_request_seconds`. Loop thread only.
public final class RESTRouter {
    public typealias Handler = (RESTCall) -> Void

    private struct Route {
        let method: StaticString
        let pattern: StaticString
        let access: RESTAccess
        let handler: Handler
        /// By the status's first digit, 2 to 5.
        let answers: [Counter]
        let seconds: Histogram
    }

    private var table = RouteTable<Route>()
    private let loop: EventLoop
    private let metrics: Metrics
    private let apiKey: APIKeyCheck?
    private let tokens: Credentials?
    private let origins: OriginPolicy?
    private let refusals: Refusals?
    private let trusted: [AddressRange]
    private let log: Log?
    /// By method, and the status's first digit.
    private let unrouted: [RequestMethod: [Counter]]
    /// Asked before a route for a person is served, where tokens can be revoked.
    public var standing: ((TokenClaims, @escaping (CredentialStanding) -> Void) -> Void)?
    /// Nil: every request is served.
    public var admission: (any RESTAdmission)?

    /// - Parameters:
    ///   - apiKey: needed if a route asks for it.
    ///   - tokens: needed if a route is a person's.
    ///   - origins: which web pages may ask; nil: nobody looks where a request comes from.
    ///   - refusals: where callers that are not let in are counted.
    ///   - trusted: whose `X-Forwarded-For` is believed, for the address in a refusal's line.
    ///   - log: where each request leaves a debug line.
    public init(
        loop: EventLoop, metrics: Metrics, apiKey: APIKeyCheck? = nil, tokens: Credentials? = nil,
        origins: OriginPolicy? = nil, refusals: Refusals? = nil, trusted: [AddressRange] = [], log: Log? = nil
    ) {
        self.loop = loop
        self.metrics = metrics
        self.apiKey = apiKey
        self.tokens = tokens
        self.origins = origins
        self.refusals = refusals
        self.trusted = trusted
        self.log = log
        unrouted = RequestMethod.allCases.reduce(into: [:]) { $0[$1] = Self.answers(metrics, $1.rawValue, "none") }
    }

    /// The front of a service's own port: with the origins that it is told to let in.
    public convenience init<Values>(
        _ context: ServiceContext<Values>, apiKey: APIKeySettings? = nil, tokens: Credentials? = nil
    ) {
        self.init(
            loop: context.loop, metrics: context.metrics,
            apiKey: apiKey.map { APIKeyCheck($0, trusted: context.trustedProxies) }, tokens: tokens,
            origins: OriginPolicy(allowed: context.process.allowedOrigins, takesLoopback: context.process.demo),
            refusals: Refusals(log: context.log, metrics: context.metrics, showsAddresses: context.process.logsAddresses),
            trusted: context.trustedProxies, log: context.log)
    }

    /// Adds a route. `pattern` is `/v1/audiences/{id}/members`; each part in braces becomes one of the call's parameters.
    public func on(
        _ method: StaticString, _ pattern: StaticString, _ access: RESTAccess, _ handler: @escaping Handler
    ) {
        precondition(access != .apiKey || apiKey != nil, "a route with an API key needs one to compare with")
        precondition(access != .person || tokens != nil, "a route of a person needs a verifier")
        let route = Route(
            method: method, pattern: pattern, access: access, handler: handler,
            answers: Self.answers(metrics, method.description, pattern),
            seconds: metrics.histogram(
                "carillon_rest_request_seconds", "From a complete request to its answer.",
                labels: "method=\"\(method)\",route=\"\(pattern)\"", buckets: Histogram.latency))
        table.add(method.description, pattern.description, route)
    }

    /// Takes every request: `server.onRequest = { router.handle($0, $1) }`.
    public func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        let origin = origins?.verdict(request) ?? .own
        exchange.addedHeaders = origins?.headers(origin) ?? []
        if origin == .refused {
            note(.origin, nil, request, exchange)
            return answerUnrouted(request, exchange, OriginPolicy.refusal)
        }
        switch table.match(request.method, request.pathSegments) {
        case .notFound:
            answerUnrouted(
                request, exchange, .problem(status: 404, name: "not_found", detail: "There is nothing at this path."))
        case .methodNotAllowed(let allowed):
            if let origins, request.method == "OPTIONS" {
                return answerUnrouted(request, exchange, origins.preflight(request, origin, methods: allowed + ", OPTIONS"))
            }
            answerUnrouted(
                request, exchange,
                .problem(
                    status: 405, name: "method_not_allowed", detail: "This path takes \(allowed).",
                    headers: [(name: "Allow", value: allowed)]))
        case .found(let route, let parameters): serve(route, parameters, request, exchange)
        }
    }

    private func answerUnrouted(_ request: HTTPRequest, _ exchange: HTTPExchange, _ answer: HTTPResponse) {
        unrouted[RequestMethod(request.method)]?[Self.place(of: answer.status)].increment()
        exchange.respond(answer)
    }

    /// Where a status is counted among the four counters of `answers`.
    private static func place(of status: Int) -> Int { min(max(status / 100, 2), 5) - 2 }

    private func serve(_ route: Route, _ parameters: [String], _ request: HTTPRequest, _ exchange: HTTPExchange) {
        let began = EventLoop.monotonicNanoseconds()
        let log = log
        let measure = { (status: Int) in
            let took = EventLoop.monotonicNanoseconds() - began
            route.answers[Self.place(of: status)].increment()
            route.seconds.observe(Double(took) / 1e9)
            log?.debug(
                "request",
                [
                    "method": .text(route.method), "route": .text(route.pattern), "status": .count(status),
                    "after": .duration(.nanoseconds(took)),
                ])
        }
        if let refusal = admission?.refusal(of: request, exchange) {
            measure(refusal.status)
            return exchange.respond(refusal)
        }
        var claims: TokenClaims?
        switch route.access {
        case .open: break
        case .apiKey, .nobody:
            let verdict = route.access == .nobody ? .refused : apiKey?.verdict(request, exchange)
            let refusal = verdict?.refusal
            if let refusal { return answer(refusal.response, refusal.cause, request, exchange, measure) }
        case .person:
            switch person(request) {
            case .success(let found): claims = found
            case .failure(let refusal):
                return answer(tokenProblem(refusal.error), refusal.cause, request, exchange, measure, refusal.error)
            }
        }
        let call = RESTCall(request: request, parameters: parameters, claims: claims, exchange: exchange, measure: measure)
        guard let claims, let standing else { return route.handler(call) }
        standing(claims) { [self] standing in
            switch standing {
            case .good: route.handler(call)
            case .revoked:
                answer(tokenProblem(.invalid(.revoked)), .revoked, request, exchange, measure, .invalid(.revoked))
            case .unknown:
                guard let admission else { return call.unavailable("Whether the token has been revoked cannot be known now.") }
                call.respond(admission.storeIsAway(for: request))
            }
        }
    }

    private func answer(
        _ refusal: HTTPResponse, _ cause: RefusalCause, _ request: HTTPRequest, _ exchange: HTTPExchange,
        _ measure: (Int) -> Void, _ error: TokenError? = nil
    ) {
        measure(refusal.status)
        note(cause, error, request, exchange)
        exchange.respond(refusal)
    }

    private func note(_ cause: RefusalCause, _ error: TokenError?, _ request: HTTPRequest, _ exchange: HTTPExchange) {
        refusals?.note(cause, error, from: address(request, exchange))
        admission?.refused(cause)
    }

    private func address(_ request: HTTPRequest, _ exchange: HTTPExchange) -> LoggedAddress? {
        guard let refusals, let peer = exchange.stream?.peer else { return nil }
        return refusals.logged(RequestOrigin.source(peer: peer, forwarded: request.tokens("x-forwarded-for"), trusted: trusted))
    }

    private struct Refusal: Error {
        let error: TokenError?
        var cause: RefusalCause { error.map(RefusalCause.init) ?? .missing }
    }

    private func person(_ request: HTTPRequest) -> Result<TokenClaims, Refusal> {
        guard let tokens, let token = bearerToken(of: request) else { return .failure(Refusal(error: nil)) }
        return tokens.claims(token).mapError { Refusal(error: $0) }
    }

    private static func answers(_ metrics: Metrics, _ method: String, _ route: StaticString) -> [Counter] {
        (2...5).map {
            metrics.counter(
                "carillon_rest_requests_total", "REST requests by route and class of status; route none: what no route served.",
                labels: "method=\"\(method)\",route=\"\(route)\",status=\"\($0)xx\"")
        }
    }
}

/// The methods of RFC 9110 section 9.3 and RFC 5789 that anybody uses; whatever else a request says is `other`.
enum RequestMethod: String, MetricLabel {
    case get = "GET", head = "HEAD", post = "POST", put = "PUT", patch = "PATCH", delete = "DELETE", options = "OPTIONS"
    case other

    init(_ text: String) { self = RequestMethod(rawValue: text) ?? .other }
}

/// The token of `Authorization: Bearer` (RFC 6750 section 2.1); nil where the field is missing, of another scheme, or holds
/// nothing behind the scheme.
public func bearerToken(of request: HTTPRequest) -> String? {
    guard let value = request.header("authorization"), value.prefix(7).lowercased() == "bearer " else { return nil }
    let token = value.dropFirst(7).drop { $0 == " " }
    return token.isEmpty ? nil : String(token)
}

/// 401 for a token that was refused, or for none: `token_expired` or `token_invalid`, and in words what was wrong.
public func tokenProblem(_ error: TokenError?) -> HTTPResponse {
    let name =
        switch error {
        case .expired: "token_expired"
        case .invalid(.revoked): "token_revoked"
        default: "token_invalid"
        }
    let detail = error?.description ?? "there is no Authorization: Bearer token"
    return .problem(
        status: 401, name: name, detail: detail.prefix(1).uppercased() + detail.dropFirst() + ".",
        headers: [(name: "WWW-Authenticate", value: error == nil ? "Bearer" : "Bearer error=\"invalid_token\"")])
}
