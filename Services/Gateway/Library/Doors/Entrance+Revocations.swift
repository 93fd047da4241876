import EventLoop
import HTTP
import Models
import ServiceRuntime
import Settings
import Store
import Tokens

// `POST /v1/revocations`: a logout, told by whoever makes the tokens.
extension Entrance {
    /// How far in the future `before` may lie, in seconds: clocks differ. It is no way to lock a person out.
    private static let skew: Int64 = 60

    func revoke(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        // Without a key nobody may.
        if let refusal = (apiKeys?.verdict(request, exchange) ?? .refused).refusal {
            hub.refusals.note(refusal.cause, from: hub.address(request, exchange))
            return exchange.respond(refusal.response)
        }
        let now = EventLoop.wallClock() / 1000
        switch RevocationOrder.read(request.body.span) {
        case .failure(let fault):
            exchange.respond(.problem(status: 400, name: "invalid_request", detail: fault.rawValue))
        case .success(.token(let id, let expires)):
            // One second more, for `exp` is looked at first and by this clock.
            let lifetime = expires.map { Duration.seconds(max(0, $0 - now) + 1) } ?? remembered
            revoke(.token(tokenIDHash(id)), min(lifetime, .seconds(366 * 86_400)), request, exchange)
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
    private var remembered: Duration { hub.settings.tokens.revocationLifetime + .seconds(TokenVerifier.skew) }

    private func revoke(
        _ revocation: Revocation, _ lifetime: Duration, _ request: HTTPRequest, _ exchange: HTTPExchange
    ) {
        hub.revocations.revoke(revocation, lifetime: lifetime) { [self] result in
            switch result {
            case .success(let announced):
                hub.metrics.revocations.increment()
                exchange.respond(.json(#"{"gateways":\#(announced.gateways),"heard":\#(announced.heard)}"#))
            case .failure: comeBackLater(request, exchange, .redis)
            }
        }
    }

    /// Goes on if the token behind the identity has not been revoked, and else answers the request itself.
    func unlessRevoked(
        _ identity: Client.Identity, _ request: HTTPRequest, _ exchange: HTTPExchange, _ body: @escaping () -> Void
    ) {
        hub.isRevoked(identity) { [self] verdict in
            switch verdict {
            case false?: body()
            case true?: refuse(request, exchange, .invalid(.revoked))
            case nil: comeBackLater(request, exchange, .redis)
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
}

/// What the body of `POST /v1/revocations` asks for.
enum RevocationOrder: Equatable {
    /// Until `expires`, in seconds since 1970, where that is given.
    case token(String, expires: Int64?)
    case person(PersonID, before: Int64?)

    enum Fault: String, Error {
        case notJSON = "The body is not a JSON object."
        case neither = "The body names either a jti, text of 1 to 255 bytes, or a person."
        case badTime = "expires and before are whole seconds since 1970."
        case milliseconds = "expires or before is in milliseconds; it must be in seconds."
    }

    static func read(_ bytes: Span<UInt8>) -> Result<RevocationOrder, Fault> {
        do throws(JSONError) {
            return try parse(bytes)
        } catch {
            if case .unexpected = error { return .failure(.neither) }
            return .failure(.notJSON)
        }
    }

    private static func parse(_ bytes: Span<UInt8>) throws(JSONError) -> Result<RevocationOrder, Fault> {
        var at = 0
        var (id, person): (String?, String?)
        var (expires, before): (Int64?, Int64?)
        var members = try JSONMembers(bytes, &at)
        while let name = try members.present(bytes, &at) {
            switch JSON.text(bytes, name) {
            case "jti": id = JSON.text(bytes, try JSON.string(bytes, &at))
            case "person": person = JSON.text(bytes, try JSON.string(bytes, &at))
            case "expires": expires = try JSON.integer(bytes, &at)
            case "before": before = try JSON.integer(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        try JSON.end(bytes, &at)
        for time in [expires, before] where !(0...UInt32.limit).contains(time ?? 0) {
            return .failure((time ?? 0) / 1000 > 0 && (time ?? 0) / 1000 <= UInt32.limit ? .milliseconds : .badTime)
        }
        switch (id, person) {
        case (let id?, nil):
            return (1...255).contains(id.utf8.count) ? .success(.token(id, expires: expires)) : .failure(.neither)
        case (nil, let person?):
            return PersonID(person).map { .success(.person($0, before: before)) } ?? .failure(.neither)
        default: return .failure(.neither)
        }
    }
}

extension UInt32 {
    /// Seconds since 1970 end in 2106 where they are kept in 32 bits.
    static let limit = Int64(UInt32.max)
}
