/// A member of a form that is not what it must be: which one, and what is wrong, in words of ours.
struct Misfit: Error, Equatable {
    /// From the outermost member on: `data.audience.users[17]`.
    let member: String
    /// `must be text, not a number`. It quotes nothing of the form.
    let fault: String

    init(_ member: String, _ fault: String) {
        self.member = member
        self.fault = fault
    }

    /// The same, seen from outside of the member that holds it.
    func inside(_ outer: String) -> Misfit { Misfit("\(outer).\(member)", fault) }

    var text: String { "\(member) \(fault)" }
}

extension JSONKind {
    var words: String {
        switch self {
        case .object: "an object"
        case .array: "a list"
        case .string: "text"
        case .number: "a number"
        case .bool: "true or false"
        case .null: "null"
        }
    }
}

/// Readers of a form's members: `null` is absent, and what does not fit is a `Misfit` that names the member. What is no JSON is a
/// `JSONError`, as everywhere.
enum Form {
    /// Moves over `null` and answers true; anything else stays.
    static func isAbsent(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Bool {
        guard try JSON.kind(bytes, &at) == .null else { return false }
        try JSON.null(bytes, &at)
        return true
    }

    static func text(
        _ bytes: Span<UInt8>, _ at: inout Int, _ member: @autoclosure () -> String, must: String = "text"
    ) throws -> JSONString? {
        switch try JSON.kind(bytes, &at) {
        case .string: return try JSON.string(bytes, &at)
        case .null: try JSON.null(bytes, &at)
        case let kind: throw Misfit(member(), "must be \(must), not \(kind.words)")
        }
        return nil
    }

    /// The members of an object, or nil where it is absent.
    static func members(
        _ bytes: Span<UInt8>, _ at: inout Int, _ member: @autoclosure () -> String
    ) throws -> JSONMembers? {
        switch try JSON.kind(bytes, &at) {
        case .object: return try JSONMembers(bytes, &at)
        case .null: try JSON.null(bytes, &at)
        case let kind: throw Misfit(member(), "must be an object, not \(kind.words)")
        }
        return nil
    }

    static func identifier<Kind>(
        _ bytes: Span<UInt8>, _ at: inout Int, _ member: @autoclosure () -> String
    ) throws -> Identifier<Kind>? {
        guard let string = try text(bytes, &at, member()) else { return nil }
        let identifier: Identifier<Kind>? =
            string.isEscaped ? Identifier(JSON.text(bytes, string)) : Identifier(bytes.extracting(string.contents))
        if let identifier { return identifier }
        let length = JSON.text(bytes, string).utf8.count
        if length == 0 { throw Misfit(member(), "must not be empty") }
        let longest = Identifier<Kind>.maximumLength
        if length > longest { throw Misfit(member(), "is longer than \(longest) bytes") }
        throw Misfit(member(), "holds a character that no id may have")
    }
}
