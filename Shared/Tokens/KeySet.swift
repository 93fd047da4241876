internal import Models

/// The algorithms that tokens may be signed with (RFC 7518 section 3.1).
enum TokenAlgorithm: String, Sendable {
    case hs256 = "HS256"
    case rs256 = "RS256"
    case es256 = "ES256"
}

/// A key that checks signatures of one algorithm and of no other.
struct VerificationKey: ~Copyable, Sendable {
    private enum Material: ~Copyable, Sendable {
        case shared(HMACKey)
        case published(PublicKey)
    }

    let algorithm: TokenAlgorithm
    private let material: Material

    /// HS256.
    init(secret: [UInt8]) {
        algorithm = .hs256
        material = .shared(HMACKey(secret))
    }

    /// RS256.
    init(modulus: [UInt8], exponent: [UInt8]) throws(KeySetError.Reason) {
        algorithm = .rs256
        material = .published(try PublicKey(modulus: modulus, exponent: exponent))
    }

    /// ES256.
    init(x: [UInt8], y: [UInt8]) throws(KeySetError.Reason) {
        algorithm = .es256
        material = .published(try PublicKey(x: x, y: y))
    }

    borrowing func verifies(_ signature: [UInt8], of message: ArraySlice<UInt8>) -> Bool {
        switch material {
        case .shared(let key): constantTimeEqual(key.code(message), signature)
        case .published(let key): key.verifies(signature, of: message)
        }
    }
}

/// Owns a key that several may hold.
final class KeyEntry: Sendable {
    let key: VerificationKey
    init(_ key: consuming VerificationKey) { self.key = key }
}

/// Why a JWK Set is not taken. The text names a place and a rule, and nothing out of the file.
public struct KeySetError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Reason: String, Error, Sendable {
        case unreadable = "the file cannot be read"
        case tooLarge = "the file is larger than 256 KB"
        case notJSON = "the file is not a JSON object with a list `keys`"
        case tooMany = "there are more than 100 keys"
        case noneUsable = "no key can check HS256, RS256 or ES256"
        case notObject = "it is not a JSON object"
        case noKeyID = "it has no kid, by which tokens would name it: text of 1 to 255 bytes"
        case repeated = "its kid is that of a key before it"
        case privateKey = "it is a private key, which must not lie with those who only verify"
        case contradiction = "its alg is not one that a key of its kty can have"
        case secretLength = "its k is not a secret of 32 to 1,024 bytes"
        case badNumber = "its n or e is not a number in base64url"
        case modulusLength = "its RSA modulus is not of 2,048 to 8,192 bits"
        case badExponent = "its RSA exponent is not an odd number from 3 on"
        case badPoint = "its x and y are not a point on P-256, 32 bytes each"
    }

    public let reason: Reason
    /// The index of the key, from 0; nil: the file as a whole.
    public let index: Int?
    /// What is wrong with the first key that should have served, where none is left.
    private let detail: String

    init(_ reason: Reason, at index: Int? = nil, since first: KeySetError? = nil) {
        self.reason = reason
        self.index = index
        detail = first.map { ": \($0)" } ?? ""
    }

    public var description: String { (index.map { "key \($0): \(reason.rawValue)" } ?? reason.rawValue) + detail }
}

/// The keys of a JWK Set (RFC 7517), each under its `kid` and pinned to one algorithm. Immutable.
///
/// A key for something else (another `kty`, curve or `alg`, `use: enc`) is skipped, as section 5 asks. A key that should serve
/// and cannot (too short, not on its curve, without a `kid`) is skipped too, and reported in `passedOver`: a mistake in one key
/// must not take the others away. A private key makes the whole set invalid, so that its author hears of it.
public final class KeySet: Sendable {
    /// The longest file that is read, in bytes.
    public static let maximumBytes = 256 * 1024
    /// The most keys of a set, skipped ones included.
    public static let maximumKeys = 100

    private let entries: [ExactText: KeyEntry]
    /// What is wrong with each key that should serve and cannot, in their order.
    public let passedOver: [KeySetError]

    /// `jwks` is the file's content.
    public init(jwks: [UInt8]) throws(KeySetError) {
        guard jwks.count <= Self.maximumBytes else { throw KeySetError(.tooLarge) }
        var entries: [ExactText: KeyEntry] = [:]
        var passedOver: [KeySetError] = []
        for (index, range) in try Self.keys(jwks).enumerated() {
            do throws(KeySetError.Reason) {
                guard let (name, entry) = try WebKey(Array(jwks[range])).entry() else { continue }
                guard entries[name] == nil else { throw .repeated }
                entries[name] = entry
            } catch {
                let fault = KeySetError(error, at: index)
                if error == .privateKey { throw fault }
                passedOver.append(fault)
            }
        }
        guard !entries.isEmpty else { throw KeySetError(.noneUsable, since: passedOver.first) }
        self.entries = entries
        self.passedOver = passedOver
    }

    /// Keys that tokens can name.
    public var count: Int { entries.count }

    /// The key of that name. The name's bytes are compared and nothing else is done with it.
    func entry(_ name: String) -> KeyEntry? { entries[ExactText(name)] }

    /// Where each element of the list `keys` stands.
    private static func keys(_ bytes: [UInt8]) throws(KeySetError) -> [Range<Int>] {
        var ranges: [Range<Int>]?
        do throws(JSONError) {
            var at = 0
            var members = try JSONMembers(bytes.span, &at)
            while let name = try members.next(bytes.span, &at) {
                guard JSONKey(bytes.span, name) == .keys else {
                    _ = try JSON.value(bytes.span, &at)
                    continue
                }
                var found: [Range<Int>] = []
                var elements = try JSONElements(bytes.span, &at)
                while try elements.next(bytes.span, &at) { found.append(try JSON.value(bytes.span, &at)) }
                ranges = found
            }
            try JSON.end(bytes.span, &at)
        } catch {
            throw KeySetError(.notJSON)
        }
        guard let ranges else { throw KeySetError(.notJSON) }
        guard ranges.count <= maximumKeys else { throw KeySetError(.tooMany) }
        return ranges
    }
}

extension JSONKey {
    static let keys = JSONKey("keys")
}

/// One JWK (RFC 7517 section 4), as its members stand there.
private struct WebKey {
    private let members: [String: ClaimsReader.Value]

    init(_ bytes: [UInt8]) throws(KeySetError.Reason) {
        guard let members = ClaimsReader.members(bytes, Self.members) else { throw .notObject }
        self.members = members.compactMapValues { $0.value == .null ? nil : $0.value }
    }

    /// The members that are used here.
    private static let members: Set = ["kty", "kid", "use", "key_ops", "alg", "crv", "k", "n", "e", "x", "y", "d"]

    /// Its name and key; nil for a key that is not meant for what is verified here.
    func entry() throws(KeySetError.Reason) -> (ExactText, KeyEntry)? {
        // A private key is refused whatever it is for: whoever can read it here could sign or decrypt with it.
        if members["d"] != nil, members["kty"] != .string("oct") { throw .privateKey }
        guard isForSignatures, let algorithm = try algorithm() else { return nil }
        guard case .string(let id) = members["kid"], (1...255).contains(id.utf8.count) else { throw .noKeyID }
        let name = ExactText(id)
        switch algorithm {
        case .hs256:
            // RFC 7518 section 3.2: at least as long as the hash.
            guard let secret = bytes("k"), (32...1024).contains(secret.count) else { throw .secretLength }
            return (name, KeyEntry(VerificationKey(secret: secret)))
        case .rs256:
            guard let modulus = bytes("n"), let exponent = bytes("e") else { throw .badNumber }
            return (name, KeyEntry(try VerificationKey(modulus: modulus, exponent: exponent)))
        case .es256:
            guard let x = bytes("x"), let y = bytes("y") else { throw .badPoint }
            return (name, KeyEntry(try VerificationKey(x: x, y: y)))
        }
    }

    private var isForSignatures: Bool {
        if let use = members["use"], use != .string("sig") { return false }
        guard let operations = members["key_ops"] else { return true }
        guard case .strings(let names) = operations else { return false }
        return names.contains("verify")
    }

    /// What a key of this kind can check, unless its `alg` says that it is for something else.
    private func algorithm() throws(KeySetError.Reason) -> TokenAlgorithm? {
        let natural: TokenAlgorithm
        switch members["kty"] {
        case .string("oct"): natural = .hs256
        case .string("RSA"): natural = .rs256
        case .string("EC"):
            guard members["crv"] == .string("P-256") else {
                // RFC 7518 section 3.4: ES256 is P-256 and no other curve.
                if members["alg"] == .string("ES256") { throw .badPoint }
                return nil
            }
            natural = .es256
        default: return nil
        }
        guard let stated = members["alg"] else { return natural }
        guard case .string(let name) = stated else { throw .contradiction }
        if name == natural.rawValue { return natural }
        // An algorithm of ours on a key of another kind is how HS and RS get confused.
        if TokenAlgorithm(rawValue: name) != nil || name == "none" { throw .contradiction }
        return nil
    }

    private func bytes(_ name: String) -> [UInt8]? {
        guard case .string(let text) = members[name] else { return nil }
        return base64urlDecoded(text.utf8)
    }
}
