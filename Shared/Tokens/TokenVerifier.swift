internal import Models
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
    private let maximumLifetime: Int64?

    /// - Parameters:
    ///   - secret: the HS256 key of tokens that name none. Without it they are refused.
    ///   - keys: those that a token names by its `kid`. Without them a `kid` means nothing, and `secret` is used.
    ///   - issuer: compared where it is given, as is `audience`.
    ///   - maximumLifetime: what a token may be good for at most, in seconds; nil: for ever.
    public init(
        secret: String?, keys: KeySet? = nil, issuer: String? = nil, audience: String? = nil, maximumLifetime: Int64? = nil
    ) {
        self.secret = secret.map { KeyEntry(VerificationKey(secret: Array($0.utf8))) }
        self.keys = Mutex(keys)
        self.issuer = issuer
        self.audience = audience
        self.maximumLifetime = maximumLifetime
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
        guard let members = ClaimsReader.members(header, ["alg", "crit", "kid"]) else { throw .headerNotJSON }
        guard case .string(let name)? = members["alg"]?.value else { throw .noAlgorithm }
        if name.lowercased() == "none" { throw .unsigned }
        guard let stated = TokenAlgorithm(rawValue: name) else { throw .otherAlgorithm }
        // RFC 7515 section 4.1.11: what is marked as critical and not understood makes the token invalid.
        guard members["crit"] == nil else { throw .critical }
        let entry = try entry(members["kid"]?.value)
        guard entry.key.algorithm == stated else { throw .algorithmMismatch }
        return entry
    }

    private func entry(_ keyID: ClaimsReader.Value?) throws(TokenFault) -> KeyEntry {
        if let keyID, keyID != .null, let keys = keys.withLock({ $0 }) {
            guard case .string(let name) = keyID, (1...255).contains(name.utf8.count) else { throw .badKeyID }
            guard let entry = keys.entry(name) else { throw .unknownKey }
            return entry
        }
        guard let secret else { throw .noKeyID }
        return secret
    }

    private func check(_ bytes: [UInt8], _ now: Int64) throws -> TokenClaims {
        guard var members = ClaimsReader.members(bytes, Self.claims) else { throw TokenFault.claimsNotJSON }
        // `null` is how some libraries write that a claim is absent.
        members = members.filter { $0.value.value != .null }
        guard let subject = try text(members["sub"], .subjectNotText, .badSubject, isIdentifier) else { throw TokenFault.noSubject }
        guard let expires = try seconds(members["exp"], .badExpiry, .expiryInMilliseconds) else { throw TokenFault.noExpiry }
        let issuedAt = try seconds(members["iat"], .badIssuedAt, .issuedInMilliseconds)
        let notBefore = try seconds(members["nbf"], .badNotBefore, .notBeforeInMilliseconds)
        let claims = TokenClaims(
            subject: subject, expires: expires, issuedAt: issuedAt, channels: try channels(members["channels"]),
            info: try members["info"].map { try info(bytes[$0.range]) },
            device: try text(members["device"], .deviceNotText, .badDevice, isIdentifier),
            id: try text(members["jti"], .badID, .badID) { (1...255).contains($0.utf8.count) })
        if let issuer, !isText(members["iss"]?.value, issuer) { throw TokenFault.wrongIssuer }
        if let audience, !holds(members["aud"]?.value, audience) { throw TokenFault.wrongAudience }
        if let issuedAt, issuedAt > now + Self.skew { throw TokenFault.issuedInFuture }
        if let notBefore, notBefore > now + Self.skew { throw TokenFault.notYetValid }
        guard now < expires else { throw TokenError.expired(secondsAgo: now - expires) }
        if outlives(expires: expires, issuedAt: issuedAt, now: now) { throw TokenFault.livesTooLong }
        return claims
    }

    /// The claims that mean something here.
    private static let claims: Set = ["sub", "exp", "iat", "nbf", "iss", "aud", "channels", "info", "device", "jti"]

    /// Whether a token is good for longer than any may be: from its `iat` on, or from now where it does not say.
    public func outlives(expires: Int64, issuedAt: Int64?, now: Int64) -> Bool {
        guard let maximumLifetime else { return false }
        // Who is a minute ahead of us measures a minute more.
        return issuedAt.map { expires - $0 > maximumLifetime } ?? (expires - now > maximumLifetime + Self.skew)
    }

    private func text(
        _ member: ClaimsReader.Member?, _ otherKind: TokenFault, _ fault: TokenFault, _ isValid: (String) -> Bool
    ) throws(TokenFault) -> String? {
        guard let member else { return nil }
        guard case .string(let text) = member.value else { throw otherKind }
        guard isValid(text) else { throw fault }
        return text
    }

    /// A NumericDate (RFC 7519 section 2): seconds, possibly with a fraction, which is cut off.
    private func seconds(
        _ member: ClaimsReader.Member?, _ fault: TokenFault, _ inMilliseconds: TokenFault
    ) throws(TokenFault) -> Int64? {
        guard let member else { return nil }
        guard case .number(let number) = member.value, (0..<Self.millisecondsEnd).contains(number) else { throw fault }
        guard number < Self.secondsEnd else { throw inMilliseconds }
        return Int64(number)
    }

    /// In seconds the year 5138; in milliseconds 1973.
    private static let secondsEnd = 1e11
    /// In milliseconds the year 5138.
    private static let millisecondsEnd = 1e14

    private func channels(_ member: ClaimsReader.Member?) throws(TokenFault) -> [String] {
        guard let member else { return [] }
        guard case .strings(let channels) = member.value else { throw .channelsNotList }
        guard channels.allSatisfy(isIdentifier) else { throw .badChannels }
        return channels
    }

    /// Others are shown it as it stands.
    private func info(_ bytes: ArraySlice<UInt8>) throws(TokenFault) -> [UInt8] {
        let bytes = Array(bytes)
        do throws(JSONError) {
            _ = try JSON.document(bytes.span)
        } catch {
            throw .badInfo
        }
        return bytes
    }

    /// `aud` is one name or a list of them (RFC 7519 section 4.1.3).
    private func holds(_ audience: ClaimsReader.Value?, _ wanted: String) -> Bool {
        switch audience {
        case .strings(let names): names.contains { $0.hasSameBytes(as: wanted) }
        default: isText(audience, wanted)
        }
    }

    /// RFC 7519 section 7.3: names are compared as they stand, without any normalization.
    private func isText(_ value: ClaimsReader.Value?, _ wanted: String) -> Bool {
        guard case .string(let text) = value else { return false }
        return text.hasSameBytes(as: wanted)
    }
}
