import EventLoop
import HTTP
import Models
import ServiceRuntime
import Settings
import Store
import Tokens

/// `POST /v1/revocations`: a logout, told by whoever makes the tokens. Loop thread only.
final class RevocationRoute {
    /// How far in the future `before` may lie, in seconds: clocks differ. It is no way to lock a person out.
    private static let skew: Int64 = 60
    /// The longest time that a revocation is remembered.
    private static let longestMemory = Duration.seconds(366 * 86_400)

    private let node: GatewayNode
    private let gate: RequestGate
    private let revocations: Revocations
    /// Nil: nobody may revoke.
    private let apiKeys: APIKeyCheck?

    init(node: GatewayNode, gate: RequestGate, revocations: Revocations, apiKeys: APIKeyCheck?) {
        self.node = node
        self.gate = gate
        self.revocations = revocations
        self.apiKeys = apiKeys
    }

    func revoke(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        // Without a key nobody may.
        if let refusal = (apiKeys?.verdict(request, exchange) ?? .refused).refusal {
            gate.note(refusal.cause, request, exchange)
            return exchange.respond(refusal.response)
        }
        let now = EventLoop.wallClock() / 1000
        switch RevocationOrder.read(request.body.span) {
        case .failure(let fault):
            exchange.respond(.problem(status: 400, name: "invalid_request", detail: fault.rawValue))
        case .success(.token(let id, let expires)):
            // One second more, for `exp` is looked at first and by this clock.
            let lifetime = expires.map { Duration.seconds(max(0, $0 - now) + 1) } ?? remembered
            revoke(.token(tokenIDHash(id)), min(lifetime, Self.longestMemory), request, exchange)
        case .success(.person(let person, let before)):
            guard (before ?? 0) <= now + Self.skew else {
                return exchange.respond(
                    .problem(
                        status: 400, name: "invalid_request", detail: "before is a time in seconds that has passed."))
            }
            // A token of this very second was made before this request, as far as anyone can tell.
            revoke(.person(person, before: before ?? now + 1), remembered, request, exchange)
        }
    }

    /// A minute more than any token is good for: by that much its maker's clock may be ahead.
    private var remembered: Duration { node.settings.tokens.revocationLifetime + .seconds(TokenVerifier.skew) }

    private func revoke(
        _ revocation: Revocation, _ lifetime: Duration, _ request: HTTPRequest, _ exchange: HTTPExchange
    ) {
        revocations.revoke(revocation, lifetime: lifetime) { [self] result in
            switch result {
            case .success(let announced):
                node.metrics.doors.revocations.increment()
                exchange.respond(.json(#"{"gateways":\#(announced.gateways),"heard":\#(announced.heard)}"#))
            case .failure: gate.comeBackLater(request, exchange, .redis)
            }
        }
    }
}
