public import Models
public import ServiceRuntime
public import Store
public import Tokens

extension Revocations {
    /// Whether the credential has been revoked.
    /// - Parameters:
    ///   - token: what its `jti` is known by; 0: it has none.
    ///   - issued: its `iat`, in seconds since 1970; 0: it has none.
    public func standing(
        of person: PersonID, token: UInt64, issued: Int64, _ reply: @escaping (CredentialStanding) -> Void
    ) {
        isRevoked(person, token: token, issued: issued) { result in
            switch result {
            case .success(let isRevoked): reply(isRevoked ? .revoked : .good)
            case .failure: reply(.unknown)
            }
        }
    }

    /// Whether a token has been revoked. Unknown if its `sub` is no id of a person.
    public func standing(of claims: TokenClaims, _ reply: @escaping (CredentialStanding) -> Void) {
        guard let person = PersonID(claims.subject) else { return reply(.unknown) }
        standing(of: person, token: claims.idHash, issued: claims.issuedAt ?? 0, reply)
    }
}
