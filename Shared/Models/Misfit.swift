/// A member of a form with a wrong value: which one, and what is wrong, in our words.
struct Misfit: Error, Equatable {
    /// The path from the outermost member on, such as `data.audience.users[17]`.
    let member: String
    /// What is wrong, such as `must be text, not a number`. It quotes nothing of the form.
    let fault: String

    init(_ member: String, _ fault: String) {
        self.member = member
        self.fault = fault
    }

    /// The same misfit with the name of the enclosing member in front.
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

/// Reads the members of a form. `null` counts as absent. A wrong value is a `Misfit` that names the member; text that is not
/// JSON is a `JSONError`.
enum Form {
    /// Moves over `null` and returns true. Before any other value it returns false and does not move.
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
