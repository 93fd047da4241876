internal import EventLoop
public import HTTP
public import Models
public import Tokens

/// One REST request that was let through, and its answer, to be given once, now or later. Loop thread only.
public final class RESTCall {
    public let request: HTTPRequest
    /// What stood in place of the route's braces, percent-decoded, in their order.
    public let parameters: [String]
    /// Whose token it came with; present exactly on routes with `.person`.
    public let claims: TokenClaims?

    private let exchange: HTTPExchange
    private let measure: (Int) -> Void

    init(
        request: HTTPRequest, parameters: [String], claims: TokenClaims?, exchange: HTTPExchange,
        measure: @escaping (Int) -> Void
    ) {
        self.request = request
        self.parameters = parameters
        self.claims = claims
        self.exchange = exchange
        self.measure = measure
    }

    /// The person of the token; empty on routes without one.
    public var person: String { claims?.subject ?? "" }

    /// The same as an id. The router has verified the token, whose `sub` is one; answers the call, and nil, if it is none after
    /// all.
    public func personID() -> PersonID? {
        if let id = PersonID(person) { return id }
        respond(tokenProblem(.invalid(.badSubject)))
        return nil
    }

    /// Whether it is answered, or the client has gone.
    public var isClosed: Bool { exchange.isClosed }

    /// Called if the client goes before the answer: for work that nobody waits for then.
    public func onClose(_ body: @escaping () -> Void) { exchange.onClose = body }

    /// A second answer, or one for a client that has gone, does nothing.
    public func respond(_ response: HTTPResponse) {
        guard !exchange.isClosed else { return }
        measure(response.status)
        exchange.respond(response)
    }

    /// 400: `detail` says what is wrong, without repeating what was sent.
    public func refuse(_ detail: String) {
        respond(.problem(status: 400, name: "invalid_request", detail: detail))
    }

    /// 503: what this needs is away; the client may come again after `seconds`.
    public func unavailable(_ detail: String, retryAfter seconds: Int = 1) {
        respond(
            .problem(
                status: 503, name: "unavailable", detail: detail, headers: [(name: "Retry-After", value: String(seconds))]))
    }
}
