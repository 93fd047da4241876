internal import Synchronization

/// Checks the JSON Web Tokens (RFC 7519) that people bring: HS256, RS256, ES256. Which algorithm is used is the key's
/// own; what a token's header asks for decides nothing but a refusal. Holds the prepared keys; may be used on any thread.
public final class TokenVerifier: Sendable {
    /// Longest token that is looked at, in bytes.
    public static let maximumLength = 8192
    /// How far `iat` and `nbf` may lie in the future, in seconds: clocks differ. `exp` is exact.
    public static let skew: Int64 = 60

    /// For tokens without a `kid`.
    private let secret: KeyEntry?
    private let keys: Mutex<KeySet?>
    private let issuer: String?
    private let audience: String?

    /// - Parameters:
    ///   - secret: the HS256 key of tokens that name none. Without it they are refused.
    ///   - keys: those that a token names by its `kid`. Without them a `kid` means nothing, and `secret` is used.
    ///   - issuer: compared where it is given, as is `audience`.
    public init(secret: String?, keys: KeySet? = nil, issuer: String? = nil, audience: String? = nil) {
        self.secret = secret.map { KeyEntry(VerificationKey(secret: Array($0.utf8))) }
        self.keys = Mutex(keys)
        self.issuer = issuer
        self.audience = audience
    }

    /// From now on a token's `kid` names one of these.
    public func use(_ keys: KeySet) { self.keys.withLock { $0 = keys } }

    /// The claims of a token that holds at `now` (seconds since 1970), or why it does not.
    public func verify(_ token: String, now: Int64) -> Result<TokenClaims, TokenError> {
        guard token.utf8.count <= Self.maximumLength else { return .failure(.invalid(.tooLarge)) }
        do {
            let claims = try signedClaims(Array(token.utf8))
            return try .success(check(claims, now))
        } catch let error as TokenError {
            return .failure(error)
        } catch let fault as TokenFault {
            return .failure(.invalid(fault))
        } catch {
            return .failure(.invalid(.claimsNotJSON))
        }
    }

    /// The bytes of the claims, once the signature over them has been found right.
    private func signedClaims(_ token: [UInt8]) throws -> [UInt8] {
        let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw TokenFault.notThreeParts }
        guard let header = base64urlDecoded(parts[0]), let claims = base64urlDecoded(parts[1]),
            let signature = base64urlDecoded(parts[2])
        else { throw TokenFault.notBase64 }
        let entry = try key(header)
        guard entry.key.verifies(signature, of: token[..<parts[1].endIndex]) else { throw TokenFault.badSignature }
        return claims
    }

    /// The key that a header names, if its algorithm is the one that the header states (RFC 8725 section 3.1).
    private func key(_ header: [UInt8]) throws(TokenFault) -> KeyEntry {
        guard let members = ClaimsReader.members(header) else { throw .headerNotJSON }
        guard let algorithm = members.first(where: { $0.name == "alg" }) else { throw .noAlgorithm }
        guard case .string(let name) = algorithm.value else { throw .noAlgorithm }
        if name.lowercased() == "none" { throw .unsigned }
        guard let stated = TokenAlgorithm(rawValue: name) else { throw .otherAlgorithm }
        // RFC 7515 section 4.1.11: what is marked as critical and not understood makes the token invalid.
        guard !members.contains(where: { $0.name == "crit" }) else { throw .critical }
        let entry = try entry(members.first { $0.name == "kid" }?.value)
        guard entry.key.algorithm == stated else { throw .algorithmMismatch }
        return entry
    }

    private func entry(_ keyID: ClaimsReader.Value?) throws(TokenFault) -> KeyEntry {
        if let keyID, let keys = keys.withLock({ $0 }) {
            guard case .string(let name) = keyID, (1...255).contains(name.utf8.count) else { throw .badKeyID }
            guard let entry = keys.entry(name) else { throw .unknownKey }
            return entry
        }
        guard let secret else { throw .noKeyID }
        return secret
    }

    private func check(_ bytes: [UInt8], _ now: Int64) throws -> TokenClaims {
        guard let members = ClaimsReader.members(bytes) else { throw TokenFault.claimsNotJSON }
        var claims = TokenClaims(subject: "", expires: 0)
        var expires: Int64?
        var notBefore: Int64?
        var issuer: ClaimsReader.Value?
        var audience: ClaimsReader.Value?
        for member in members {
            switch member.name {
            case "sub": claims.subject = try text(member.value, TokenFault.badSubject, isIdentifier)
            case "exp": expires = try seconds(member.value)
            case "iat": claims.issuedAt = try seconds(member.value)
            case "nbf": notBefore = try seconds(member.value)
            case "iss": issuer = member.value
            case "aud": audience = member.value
            case "channels": claims.channels = try channels(member.value)
            case "info": claims.info = Array(bytes[member.range])
            case "device": claims.device = try text(member.value, TokenFault.badDevice, isIdentifier)
            case "jti": claims.id = try text(member.value, TokenFault.badID) { (1...255).contains($0.utf8.count) }
            default: break
            }
        }
        guard !claims.subject.isEmpty else { throw TokenFault.noSubject }
        guard let expires else { throw TokenFault.noExpiry }
        claims.expires = expires
        if let wanted = self.issuer, issuer != .string(wanted) { throw TokenFault.wrongIssuer }
        if let wanted = self.audience, !holds(audience, wanted) { throw TokenFault.wrongAudience }
        if let issuedAt = claims.issuedAt, issuedAt > now + Self.skew { throw TokenFault.issuedInFuture }
        if let notBefore, notBefore > now + Self.skew { throw TokenFault.notYetValid }
        guard now < expires else { throw TokenError.expired(secondsAgo: now - expires) }
        return claims
    }

    private func text(
        _ value: ClaimsReader.Value, _ fault: TokenFault, _ isValid: (String) -> Bool
    ) throws(TokenFault) -> String {
        guard case .string(let text) = value, isValid(text) else { throw fault }
        return text
    }

    /// A NumericDate (RFC 7519 section 2): seconds, possibly with a fraction, which is cut off.
    private func seconds(_ value: ClaimsReader.Value) throws(TokenFault) -> Int64 {
        guard case .number(let number) = value, number >= 0, number < 9_007_199_254_740_992 else { throw .badTime }
        return Int64(number)
    }

    private func channels(_ value: ClaimsReader.Value) throws(TokenFault) -> [String] {
        guard case .strings(let channels) = value, channels.allSatisfy(isIdentifier) else { throw .badChannels }
        return channels
    }

    /// `aud` is one name or a list of them (RFC 7519 section 4.1.3).
    private func holds(_ audience: ClaimsReader.Value?, _ wanted: String) -> Bool {
        switch audience {
        case .string(let name): name == wanted
        case .strings(let names): names.contains(wanted)
        default: false
        }
    }
}
