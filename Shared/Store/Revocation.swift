public import Models
internal import Tokens

/// Tokens that are not accepted any more, although they have not expired.
public enum Revocation: Equatable, Sendable {
    /// The token whose `jti` has this `TokenClaims.idHash`.
    case token(UInt64)
    /// All tokens of a person that were issued before this second (since 1970). A token that does not say when it was issued is
    /// among them.
    case person(PersonID, before: Int64)

    /// The control line that tells a gateway: `{"close":3500,"jti":"<16 hex digits>"}`, or
    /// `{"close":3500,"person":"bob","before":1795000000}`.
    public func controlLine() -> [UInt8] {
        var writer = JSONWriter(capacity: 96)
        writer.raw(#"{"close":3500,"#)
        switch self {
        case .token(let hash):
            writer.raw(#""jti":"#)
            writer.string(digits(of: hash))
        case .person(let person, let before):
            writer.raw(#""person":"#)
            writer.string(person.text)
            writer.raw(#","before":"#)
            writer.integer(before)
        }
        writer.raw("}")
        return writer.take()
    }

    /// Reads a control line. Nil for a line of another kind. Throws if the line is not JSON.
    public init?(controlLine line: Span<UInt8>) throws(JSONError) {
        var at = 0
        var (hash, person, before): (UInt64?, PersonID?, Int64?)
        var members = try JSONMembers(line, &at)
        while let name = try members.next(line, &at) {
            switch JSONKey(line, name) {
            case .jti: hash = number(ofDigits: JSON.text(line, try JSON.string(line, &at)))
            case .person: person = PersonID(JSON.text(line, try JSON.string(line, &at)))
            case .before: before = try JSON.integer(line, &at)
            default: _ = try JSON.value(line, &at)
            }
        }
        if let hash {
            self = .token(hash)
        } else if let person, let before {
            self = .person(person, before: before)
        } else {
            return nil
        }
    }
}

extension JSONKey {
    static let jti = JSONKey("jti")
    static let person = JSONKey("person")
    static let before = JSONKey("before")
}

/// 16 hexadecimal digits.
func digits(of hash: UInt64) -> String {
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

func number(ofDigits text: String) -> UInt64? { text.utf8.count == 16 ? UInt64(text, radix: 16) : nil }
