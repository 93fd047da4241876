public import EventLoop
public import HTTP
public import Settings
public import Tokens

/// Who may call a route.
public enum RESTAccess: Sendable {
    case open
    /// `X-API-Key`: producers and operators.
    case apiKey
    /// `Authorization: Bearer`: the person of the token.
    case person
}

/// The REST front that services share: routes, credentials, problem documents for what is refused (RFC 9457), and
/// `carillon_rest_requests_total` with `carillon_rest_request_seconds`. Loop thread only.
public final class RESTRouter {
    public typealias Handler = (RESTCall) -> Void

    private struct Route {
        let access: RESTAccess
        let handler: Handler
        /// By the status's first digit, 2 to 5.
        let answers: [Counter]
        let seconds: Histogram
    }

    private var table = RouteTable<Route>()
    private let loop: EventLoop
    private let metrics: Metrics
    private let apiKey: [UInt8]?
    private let tokens: TokenVerifier?
    private let unrouted: Counter

    /// - Parameters:
    ///   - apiKey: needed if a route asks for it.
    ///   - tokens: needed if a route is a person's.
    public init(loop: EventLoop, metrics: Metrics, apiKey: APIKeySettings? = nil, tokens: TokenVerifier? = nil) {
        self.loop = loop
        self.metrics = metrics
        self.apiKey = apiKey.map { Array($0.key.utf8) }
        self.tokens = tokens
        unrouted = Self.answers(metrics, "GET", "none")[2]
    }

    /// Adds a route. `pattern` is `/v1/audiences/{id}/members`; each part in braces becomes one of the call's parameters.
    public func on(
        _ method: StaticString, _ pattern: StaticString, _ access: RESTAccess, _ handler: @escaping Handler
    ) {
        precondition(access != .apiKey || apiKey != nil, "a route with an API key needs one to compare with")
        precondition(access != .person || tokens != nil, "a route of a person needs a verifier")
        let route = Route(
            access: access, handler: handler, answers: Self.answers(metrics, method, pattern),
            seconds: metrics.histogram(
                "carillon_rest_request_seconds", "From a complete request to its answer.",
                labels: "method=\"\(method)\",route=\"\(pattern)\"", buckets: Histogram.latency))
        table.add(method.description, pattern.description, route)
    }

    /// Takes every request: `server.onRequest = { router.handle($0, $1) }`.
    public func handle(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        switch table.match(request.method, request.pathSegments) {
        case .notFound:
            unrouted.increment()
            exchange.respond(.problem(status: 404, name: "not_found", detail: "There is nothing at this path."))
        case .methodNotAllowed(let allowed):
            unrouted.increment()
            exchange.respond(
                .problem(
                    status: 405, name: "method_not_allowed", detail: "This path takes \(allowed).",
                    headers: [(name: "Allow", value: allowed)]))
        case .found(let route, let parameters):
            let began = EventLoop.monotonicNanoseconds()
            let measure = { (status: Int) in
                route.answers[min(max(status / 100, 2), 5) - 2].increment()
                route.seconds.observe(Double(EventLoop.monotonicNanoseconds() - began) / 1e9)
            }
            switch admit(request, route.access) {
            case .failure(let refusal):
                measure(refusal.response.status)
                exchange.respond(refusal.response)
            case .success(let claims):
                route.handler(
                    RESTCall(
                        request: request, parameters: parameters, claims: claims, exchange: exchange, measure: measure))
            }
        }
    }

    private struct Refusal: Error { let response: HTTPResponse }

    private func admit(_ request: HTTPRequest, _ access: RESTAccess) -> Result<TokenClaims?, Refusal> {
        switch access {
        case .open: return .success(nil)
        case .apiKey:
            guard let apiKey, let given = request.header("x-api-key"), constantTimeEqual(Array(given.utf8), apiKey) else {
                return .failure(
                    Refusal(
                        response: .problem(
                            status: 401, name: "api_key_invalid", detail: "X-API-Key is missing or is not the configured key.")))
            }
            return .success(nil)
        case .person:
            guard let tokens else { return .failure(Self.refusal(nil)) }
            guard let token = bearerToken(of: request) else { return .failure(Self.refusal(nil)) }
            switch tokens.verify(token, now: EventLoop.wallClock() / 1000) {
            case .success(let claims): return .success(claims)
            case .failure(let error): return .failure(Self.refusal(error))
            }
        }
    }

    private static func refusal(_ error: TokenError?) -> Refusal { Refusal(response: tokenProblem(error)) }

    private static func answers(_ metrics: Metrics, _ method: StaticString, _ route: StaticString) -> [Counter] {
        (2...5).map {
            metrics.counter(
                "carillon_rest_requests_total", "REST requests by route and class of status; route none: no such path.",
                labels: "method=\"\(method)\",route=\"\(route)\",status=\"\($0)xx\"")
        }
    }
}

/// The token of `Authorization: Bearer` (RFC 6750 section 2.1); nil where the field is missing or of another scheme.
public func bearerToken(of request: HTTPRequest) -> String? {
    guard let value = request.header("authorization") else { return nil }
    let parts = value.split(separator: " ", omittingEmptySubsequences: true)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    return String(parts[1])
}

/// 401 for a token that was refused, or for none: `token_expired` or `token_invalid`, and in words what was wrong.
public func tokenProblem(_ error: TokenError?) -> HTTPResponse {
    let name = if case .expired = error { "token_expired" } else { "token_invalid" }
    let detail = error?.description ?? "there is no Authorization: Bearer token"
    return .problem(
        status: 401, name: name, detail: detail.prefix(1).uppercased() + detail.dropFirst() + ".",
        headers: [(name: "WWW-Authenticate", value: error == nil ? "Bearer" : "Bearer error=\"invalid_token\"")])
}
