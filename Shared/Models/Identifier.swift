/// An id that a user of the system chose: 1 to 128 bytes of UTF-8, no control character, no `{` and no `}`.
///
/// Two ids are equal if their bytes are. `String` would take composed and decomposed accents for equal, and Redis does not.
public struct Identifier<Kind>: Hashable, Sendable, CustomStringConvertible {
    /// The id as it was given.
    public let text: String

    /// The most bytes of UTF-8 that an id may have.
    public static var maximumLength: Int { 128 }

    /// Nil if the text is not an id.
    public init?(_ text: String) {
        let bytes = text.utf8Span.span
        guard isIdentifier(bytes) else { return nil }
        self.text = text
    }

    /// Nil if the bytes are not an id.
    public init?(_ bytes: Span<UInt8>) {
        guard isIdentifier(bytes), let text = try? UTF8Span(validating: bytes) else { return nil }
        self.text = String(copying: text)
    }

    public var description: String { text }

    public static func == (left: Self, right: Self) -> Bool { left.text.hasSameBytes(as: right.text) }

    public func hash(into hasher: inout Hasher) { text.hashBytes(into: &hasher) }
}

/// Who is notified. May carry a tenant (`acme/bob`).
public typealias PersonID = Identifier<PersonKind>
/// What people are members of, and may mute.
public typealias ChannelID = Identifier<ChannelKind>
/// One of a person's devices.
public typealias DeviceID = Identifier<DeviceKind>

public enum PersonKind {}
public enum ChannelKind {}
public enum DeviceKind {}

/// U+0000 to U+001F, U+007F, and U+0080 to U+009F (C2 80 to C2 9F) are controls.
private func isIdentifier(_ bytes: Span<UInt8>) -> Bool {
    guard bytes.count >= 1, bytes.count <= 128 else { return false }
    for index in bytes.indices {
        let byte = bytes[index]
        if byte < 0x20 || byte == 0x7F { return false }
        if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}") { return false }
        if byte < 0xA0, byte >= 0x80, index > 0, bytes[index &- 1] == 0xC2 { return false }
    }
    return true
}
