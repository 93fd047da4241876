/// Whom an event is for.
public enum Audience: Equatable, Sendable {
    case user(PersonID)
    /// At most `maximumUsers`.
    case users([PersonID])
    case channel(ChannelID)
    case followersOf(PersonID)
    case broadcast

    public static let maximumUsers = 1000

    /// The id of the members' list (`{a}` of the keys): `channel:<channel>` or `followers:<person>`; nil where nobody keeps one.
    public var listID: String? {
        switch self {
        case .channel(let channel): "channel:\(channel.text)"
        case .followersOf(let person): "followers:\(person.text)"
        case .user, .users, .broadcast: nil
        }
    }

    /// Reads the one object that names an audience.
    static func read(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Audience {
        var members = try JSONMembers(bytes, &at)
        let start = at
        var found: Audience?
        while let name = try members.next(bytes, &at) {
            let key = JSONKey(bytes, name)
            let audience: Audience
            switch key {
            case .user: audience = .user(try identifier(bytes, &at))
            case .users: audience = .users(try people(bytes, &at))
            case .channel: audience = .channel(try identifier(bytes, &at))
            case .followersOf: audience = .followersOf(try identifier(bytes, &at))
            case .broadcast:
                guard try JSON.bool(bytes, &at) else { throw .unexpected(at: at) }
                audience = .broadcast
            default:
                _ = try JSON.value(bytes, &at)
                continue
            }
            guard found == nil else { throw .unexpected(at: start) }
            found = audience
        }
        guard let found else { throw .unexpected(at: start) }
        return found
    }

    private static func people(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> [PersonID] {
        var elements = try JSONElements(bytes, &at)
        var people: [PersonID] = []
        while try elements.next(bytes, &at) {
            guard people.count < maximumUsers else { throw .unexpected(at: at) }
            people.append(try identifier(bytes, &at))
        }
        guard !people.isEmpty else { throw .unexpected(at: at) }
        return people
    }

    func write(_ writer: inout JSONWriter) {
        switch self {
        case .user(let person):
            writer.raw(#"{"user":"#)
            writer.string(person.text)
        case .users(let people):
            writer.raw(#"{"users":["#)
            for (index, person) in people.enumerated() {
                if index > 0 { writer.byte(UInt8(ascii: ",")) }
                writer.string(person.text)
            }
            writer.byte(UInt8(ascii: "]"))
        case .channel(let channel):
            writer.raw(#"{"channel":"#)
            writer.string(channel.text)
        case .followersOf(let person):
            writer.raw(#"{"followersOf":"#)
            writer.string(person.text)
        case .broadcast: writer.raw(#"{"broadcast":true"#)
        }
        writer.byte(UInt8(ascii: "}"))
    }
}

/// A string that is an id; `unexpected` if it is none.
func identifier<Kind>(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Identifier<Kind> {
    let string = try JSON.string(bytes, &at)
    let identifier: Identifier<Kind>? =
        string.isEscaped ? Identifier(JSON.text(bytes, string)) : Identifier(bytes.extracting(string.contents))
    guard let identifier else { throw .unexpected(at: string.contents.lowerBound) }
    return identifier
}

extension JSONKey {
    static let user = JSONKey("user")
    static let users = JSONKey("users")
    static let channel = JSONKey("channel")
    static let followersOf = JSONKey("followersOf")
    static let broadcast = JSONKey("broadcast")
}
