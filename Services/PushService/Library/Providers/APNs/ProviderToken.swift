internal import Tokens

/// When a provider token is made: shared by all requests, renewed when it is 40 minutes old. Apple takes one for an hour,
/// and answers more than one in 20 minutes with 429. Pure; seconds since 1970.
struct ProviderTokenAge {
    static let renewAfter: Int64 = 2400
    /// A token that is refused as too old is replaced if it is at least this old, or comes from a clock that was set since.
    static let youngestRefused: Int64 = 60

    private(set) var issuedAt: Int64?

    /// Whether a new one must be made now.
    func isDue(now: Int64) -> Bool {
        guard let issuedAt else { return true }
        return now - issuedAt >= Self.renewAfter || issuedAt > now + Self.youngestRefused
    }

    mutating func issued(at now: Int64) { issuedAt = now }

    /// Apple says that it is too old: true if a new one will be made.
    mutating func refused(now: Int64) -> Bool {
        guard let issuedAt, abs(now - issuedAt) >= Self.youngestRefused else { return false }
        self.issuedAt = nil
        return true
    }
}

/// The key that we sign with, and the token made of it. Loop thread only.
final class ProviderCredentials {
    private let signer: ES256Signer
    private let keyID: String
    private let teamID: String
    private var age = ProviderTokenAge()
    private var header = ""

    init(_ credentials: APNsCredentials) throws(KeyError) {
        signer = try ES256Signer(file: credentials.keyFile)
        keyID = credentials.keyID
        teamID = credentials.teamID
    }

    /// The authorization header's value.
    func authorization(now: Int64) throws(KeyError) -> String {
        guard age.isDue(now: now) else { return header }
        header = try "bearer \(signer.providerToken(keyID: keyID, teamID: teamID, issuedAt: now))"
        age.issued(at: now)
        return header
    }

    /// The token was refused as too old; the next one will be new.
    func refused(_ authorization: String, now: Int64) {
        if authorization == header { _ = age.refused(now: now) }
    }
}
