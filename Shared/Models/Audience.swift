/// Whom an event is for.
public enum Audience: Equatable, Sendable {
    case user(PersonID)
    /// At most `maximumUsers` people.
    case users([PersonID])
    case channel(ChannelID)
    case followersOf(PersonID)
    case broadcast

    public static let maximumUsers = 1000

    /// The id of the list of members (`{a}` of the keys): `channel:<channel>` or `followers:<person>`. Nil for an audience
    /// without a list.
    public var listID: String? {
        switch self {
        case .channel(let channel): "channel:\(channel.text)"
        case .followersOf(let person): "followers:\(person.text)"
        case .user, .users, .broadcast: nil
        }
    }

    /// Reads the object that names an audience; nil for `null`. Throws a `Misfit` whose path begins at `audience`.
    static func read(_ bytes: Span<UInt8>, _ at: inout Int) throws -> Audience? {
        guard var members = try Form.members(bytes, &at, "audience") else { return nil }
        var found: Audience?
        while let name = try members.next(bytes, &at) {
            let audience: Audience?
            switch JSONKey(bytes, name) {
            case .user: audience = try Form.identifier(bytes, &at, "audience.user").map { .user($0) }
            case .users: audience = try people(bytes, &at).map { .users($0) }
            case .channel: audience = try Form.identifier(bytes, &at, "audience.channel").map { .channel($0) }
            case .followersOf: audience = try Form.identifier(bytes, &at, "audience.followersOf").map { .followersOf($0) }
            case .broadcast: audience = try broadcast(bytes, &at)
            default:
                _ = try JSON.value(bytes, &at)
                continue
            }
            guard let audience else { continue }
            guard found == nil else { throw Misfit("audience", "must name one of \(Self.kinds), not several") }
            found = audience
        }
        guard let found else { throw Misfit("audience", "must name one of \(Self.kinds)") }
        return found
    }

    private static let kinds = "user, users, channel"

    private static func people(_ bytes: Span<UInt8>, _ at: inout Int) throws -> [PersonID]? {
        if try Form.isAbsent(bytes, &at) { return nil }
        let kind = try JSON.kind(bytes, &at)
        guard kind == .array else { throw Misfit("audience.users", "must be a list, not \(kind.words)") }
        var elements = try JSONElements(bytes, &at)
        var people: [PersonID] = []
        while try elements.next(bytes, &at) {
            guard people.count < maximumUsers else { throw Misfit("audience.users", "holds more than \(maximumUsers)") }
            let index = people.count
            guard let person: PersonID = try Form.identifier(bytes, &at, "audience.users[\(index)]") else {
                throw Misfit("audience.users[\(index)]", "must be text, not null")
            }
            people.append(person)
        }
        guard !people.isEmpty else { throw Misfit("audience.users", "must not be empty") }
        return people
    }

    private static func broadcast(_ bytes: Span<UInt8>, _ at: inout Int) throws -> Audience? {
        if try Form.isAbsent(bytes, &at) { return nil }
        guard try JSON.kind(bytes, &at) == .bool, try JSON.bool(bytes, &at) else {
            throw Misfit("audience.broadcast", "must be true")
        }
        return .broadcast
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

/// Reads a string that is an id. Throws `unexpected` if it is not a valid one.
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
