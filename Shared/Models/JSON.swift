/// Why bytes could not be read as the JSON that was asked for. Offsets are in bytes from the start of the span.
public enum JSONError: Error, Equatable, Sendable {
    /// The bytes are not JSON (RFC 8259), not UTF-8, or hold an escape that is not a Unicode scalar (RFC 7493 section 2.1).
    case malformed(at: Int)
    /// Nested deeper than `JSON.maximumDepth`.
    case tooDeep(at: Int)
    /// The bytes are well formed as far as they were read, but hold another kind of value than was asked for.
    case unexpected(at: Int)
}

/// The kind of the value that begins at an offset.
public enum JSONKind: Sendable {
    case object, array, string, number, bool, null
}

/// A string as it stands in the bytes.
public struct JSONString: Equatable, Sendable {
    /// The bytes between the quotes.
    public let contents: Range<Int>
    /// It holds a backslash, so its bytes are not its text.
    public let isEscaped: Bool

    /// The string with its quotes, which can be copied into other JSON as it is.
    public var token: Range<Int> { contents.lowerBound - 1..<contents.upperBound + 1 }
}

/// Reads JSON (RFC 8259) without building anything: functions take a span and a cursor, and return ranges.
///
/// Any bytes may be given: they are read or refused, and never trap. Strings are checked to be UTF-8 wherever they stand. A
/// cursor stands before a value or the space before it. After a call it stands behind what was read; after a throw it has no
/// meaning.
public enum JSON {
    /// The most levels of objects and arrays that `value` reads.
    public static let maximumDepth = 63

    /// Moves over space, tab, line feed and carriage return.
    public static func skipSpace(_ bytes: Span<UInt8>, _ at: inout Int) {
        while at < bytes.count {
            let byte = bytes[at]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            at &+= 1
        }
    }

    /// The kind of the value that comes next; the cursor then stands on its first byte.
    public static func kind(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> JSONKind {
        skipSpace(bytes, &at)
        guard at < bytes.count else { throw .malformed(at: at) }
        switch bytes[at] {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        default: throw .malformed(at: at)
        }
    }

    /// Reads over one value of any kind and answers where it stands.
    public static func value(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Range<Int> {
        skipSpace(bytes, &at)
        let start = at
        var depth = 0
        var objects: UInt64 = 0  // bit d: the container at depth d is an object
        while true {
            skipSpace(bytes, &at)
            guard at < bytes.count else { throw .malformed(at: at) }
            let first = bytes[at]
            if first == UInt8(ascii: "{") || first == UInt8(ascii: "[") {
                guard depth < maximumDepth else { throw .tooDeep(at: at) }
                let isObject = first == UInt8(ascii: "{")
                depth &+= 1
                if isObject { objects |= 1 << UInt64(depth) } else { objects &= ~(1 << UInt64(depth)) }
                at &+= 1
                skipSpace(bytes, &at)
                guard at < bytes.count else { throw .malformed(at: at) }
                if bytes[at] != (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    if isObject { _ = try key(bytes, &at) }
                    continue
                }
                at &+= 1
                depth &-= 1
            } else {
                try scalar(bytes, &at)
            }
            if try closes(bytes, &at, &depth, objects) { return start..<at }
        }
    }

    /// Reads the whole of the bytes as one value with nothing behind it.
    public static func document(_ bytes: Span<UInt8>) throws(JSONError) -> Range<Int> {
        var at = 0
        let range = try value(bytes, &at)
        try end(bytes, &at)
        return range
    }

    /// Moves over space to the end. Throws `malformed` if anything else follows.
    public static func end(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) {
        skipSpace(bytes, &at)
        guard at == bytes.count else { throw .malformed(at: at) }
    }

    /// After a value: closes containers, or moves over a comma (and the next key). True when the outermost value has ended.
    private static func closes(
        _ bytes: Span<UInt8>, _ at: inout Int, _ depth: inout Int, _ objects: UInt64
    ) throws(JSONError) -> Bool {
        while depth > 0 {
            skipSpace(bytes, &at)
            guard at < bytes.count else { throw .malformed(at: at) }
            let isObject = objects & (1 << UInt64(depth)) != 0
            let byte = bytes[at]
            at &+= 1
            if byte == UInt8(ascii: ",") {
                if isObject { _ = try key(bytes, &at) }
                return false
            }
            guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { throw .malformed(at: at &- 1) }
            depth &-= 1
        }
        return true
    }

    /// A member's name and the colon behind it.
    static func key(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> JSONString {
        skipSpace(bytes, &at)
        guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw .malformed(at: at) }
        let name = try string(bytes, &at)
        skipSpace(bytes, &at)
        guard at < bytes.count, bytes[at] == UInt8(ascii: ":") else { throw .malformed(at: at) }
        at &+= 1
        return name
    }

    private static func scalar(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) {
        switch bytes[at] {
        case UInt8(ascii: "\""): _ = try string(bytes, &at)
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try bool(bytes, &at)
        case UInt8(ascii: "n"): try null(bytes, &at)
        default: _ = try number(bytes, &at)
        }
    }
}

/// The members of one object, one at a time: `while let name = try members.next(bytes, &at) { … read or skip the value … }`.
public struct JSONMembers {
    private var isFirst = true

    /// Reads the opening brace; `unexpected` if another kind of value stands here.
    public init(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) {
        guard try JSON.kind(bytes, &at) == .object else { throw .unexpected(at: at) }
        at &+= 1
    }

    /// The next member's name, with the cursor before its value; nil, with the cursor behind the closing brace, after the last.
    public mutating func next(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> JSONString? {
        guard try hasNext(bytes, &at, close: UInt8(ascii: "}"), isFirst: &isFirst) else { return nil }
        return try JSON.key(bytes, &at)
    }
}

/// The elements of one array: `while try elements.next(bytes, &at) { … read or skip the value … }`.
public struct JSONElements {
    private var isFirst = true

    /// Reads the opening bracket; `unexpected` if another kind of value stands here.
    public init(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) {
        guard try JSON.kind(bytes, &at) == .array else { throw .unexpected(at: at) }
        at &+= 1
    }

    /// True with the cursor before an element; false, with the cursor behind the closing bracket, after the last.
    public mutating func next(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Bool {
        try hasNext(bytes, &at, close: UInt8(ascii: "]"), isFirst: &isFirst)
    }
}

/// Moves over a comma, or over the closing byte (and answers false).
private func hasNext(
    _ bytes: Span<UInt8>, _ at: inout Int, close: UInt8, isFirst: inout Bool
) throws(JSONError) -> Bool {
    JSON.skipSpace(bytes, &at)
    guard at < bytes.count else { throw .malformed(at: at) }
    if bytes[at] == close {
        at &+= 1
        return false
    }
    if isFirst {
        isFirst = false
        return true
    }
    guard bytes[at] == UInt8(ascii: ",") else { throw .malformed(at: at) }
    at &+= 1
    JSON.skipSpace(bytes, &at)
    // RFC 8259 section 4 and 5: no comma before the end.
    guard at < bytes.count, bytes[at] != close else { throw .malformed(at: at) }
    return true
}
