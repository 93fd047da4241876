internal import Models

/// What a person's token says, once it has been verified.
public struct TokenClaims: Equatable, Sendable {
    /// `sub`: the person.
    public var subject: String
    /// `exp`, in seconds since 1970: from this second on the token is worth nothing.
    public var expires: Int64
    /// `iat`, in seconds since 1970.
    public var issuedAt: Int64?
    /// `channels`: those that the person may look at.
    public var channels: [String]
    /// `info`: JSON as it stood in the token, shown to others in presence.
    public var info: [UInt8]?
    /// `device`: which of the person's devices this is.
    public var device: String?
    /// `jti`: the token's own name, for revocation.
    public var id: String?

    /// A short name for the token, by which revocations know it: 64 bits of its `jti`'s SHA-256; 0 if it has none.
    public var idHash: UInt64 { id.map(tokenIDHash) ?? 0 }

    public init(
        subject: String, expires: Int64, issuedAt: Int64? = nil, channels: [String] = [], info: [UInt8]? = nil,
        device: String? = nil, id: String? = nil
    ) {
        self.subject = subject
        self.expires = expires
        self.issuedAt = issuedAt
        self.channels = channels
        self.info = info
        self.device = device
        self.id = id
    }
}

/// The number by which a `jti` is known. Never 0.
public func tokenIDHash(_ id: String) -> UInt64 {
    max(1, sha256(Array(id.utf8)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
}

/// Why a token was not accepted. The description tells the maker of the token what to do, and holds nothing of the token
/// itself.
public enum TokenError: Error, Equatable, Sendable, CustomStringConvertible {
    case expired(secondsAgo: Int64)
    case invalid(TokenFault)

    public var description: String {
        switch self {
        case .expired(let seconds): "the token expired \(seconds) s ago"
        case .invalid(let fault): fault.rawValue
        }
    }
}

/// What is wrong with a token that is not merely old.
public enum TokenFault: String, Error, CaseIterable, Sendable, CustomStringConvertible {
    case tooLarge = "the token is larger than 8 KB"
    case notThreeParts = "the token is not three parts separated by dots"
    case notBase64 = "a part of the token is not base64url"
    case headerNotJSON = "the token's header is not a JSON object"
    case noAlgorithm = "the token's header names no algorithm (alg)"
    case unsigned = "the token is not signed (alg: none)"
    case otherAlgorithm = "the token's algorithm is none of HS256, RS256 and ES256"
    case algorithmMismatch = "the token's algorithm is not that of its key"
    case badKeyID = "the token's kid is not text of 1 to 255 bytes"
    case unknownKey = "the token's kid names no key that is known here"
    case noKeyID = "the token names no key (kid)"
    case critical = "the token's header demands an extension (crit) that is not known here"
    case badSignature = "the token's signature does not match"
    case claimsNotJSON = "the token's claims are not a JSON object"
    case noSubject = "the token has no sub"
    case subjectNotText = "the token's sub must be text"
    case badSubject = "the token's sub is not a valid id: 1 to 128 bytes without control characters, { and }"
    case noExpiry = "the token has no exp"
    case badExpiry = "exp must be a number of seconds since 1970"
    case badIssuedAt = "iat must be a number of seconds since 1970"
    case badNotBefore = "nbf must be a number of seconds since 1970"
    case expiryInMilliseconds = "exp is in milliseconds; it must be in seconds"
    case issuedInMilliseconds = "iat is in milliseconds; it must be in seconds"
    case notBeforeInMilliseconds = "nbf is in milliseconds; it must be in seconds"
    case livesTooLong = "the token is good for longer than any may be here (TOKEN_MAX_LIFETIME)"
    case issuedInFuture = "the token's iat lies in the future"
    case notYetValid = "the token's nbf lies in the future"
    case wrongIssuer = "the token's iss is not the expected one"
    case wrongAudience = "the token's aud does not hold the expected one"
    case channelsNotList = "channels must be a list of text"
    case badChannels = "channels holds what is not a valid id"
    case badInfo = "info is nested too deeply, or holds half a surrogate pair"
    case deviceNotText = "device must be text"
    case badDevice = "device is not a valid id: 1 to 128 bytes without control characters, { and }"
    case revoked = "the token has been revoked"
    case badID = "jti must be text of 1 to 255 bytes"

    public var description: String { rawValue }
}

/// The rule for person, channel and device ids is one, and stands in `Models`.
func isIdentifier(_ text: String) -> Bool { PersonID(text) != nil }
