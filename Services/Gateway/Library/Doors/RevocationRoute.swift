import EventLoop
import HTTP
import Models
import ServiceRuntime
import Settings
import Store
import Tokens

/// `POST /v1/revocations`: a logout, sent by the service that makes the tokens. Loop thread only.
final class RevocationRoute {
    /// How far in the future `before` may be, in seconds, because clocks differ. A person cannot be locked out by it.
    private static let skew: Int64 = 60
    /// The longest time that a revocation is remembered.
    private static let longestMemory = Duration.seconds(366 * 86_400)

    private let node: GatewayNode
    private let gate: RequestGate
    private let revocations: Revocations

    init(node: GatewayNode, gate: RequestGate, revocations: Revocations) {
        self.node = node
        self.gate = gate
        self.revocations = revocations
    }

    func add(to router: RESTRouter, access: RESTAccess) {
        router.on("POST", "/v1/revocations", access) { [self] call in revoke(call) }
    }

    private func revoke(_ call: RESTCall) {
        let now = EventLoop.wallClock() / 1000
        let body = call.request.body
        switch RevocationOrder.read(body.span) {
        case .failure(let fault): call.refuse(fault.rawValue)
        case .success(.token(let id, let expires)):
            // One second more, because `exp` is checked first, and by this clock.
            let lifetime = expires.map { Duration.seconds(max(0, $0 - now) + 1) } ?? remembered
            revoke(.token(tokenIDHash(id)), min(lifetime, Self.longestMemory), call)
        case .success(.person(let person, let before)):
            guard (before ?? 0) <= now + Self.skew else { return call.refuse("before is a time in seconds that has passed.") }
            // A token of this second counts as made before this request, because nobody can tell.
            revoke(.person(person, before: before ?? now + 1), remembered, call)
        }
    }

    /// A minute more than any token lives: the clock of its maker may be ahead by that much.
    private var remembered: Duration { node.settings.tokens.revocationLifetime + .seconds(TokenVerifier.skew) }

    private func revoke(_ revocation: Revocation, _ lifetime: Duration, _ call: RESTCall) {
        revocations.revoke(revocation, lifetime: lifetime) { [self] result in
            switch result {
            case .success(let announced):
                node.metrics.doors.revocations.increment()
                call.respond(.json(#"{"gateways":\#(announced.gateways),"heard":\#(announced.heard)}"#))
            case .failure: call.respond(gate.storeIsAway(for: call.request))
            }
        }
    }
}
