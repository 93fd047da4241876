/// A place in an inbox: the id of a Redis Stream's entry, `<epoch>-<offset>`. Offset 0 is before everything.
public struct StreamPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Redis's time, in ms since 1970, when this numbering began.
    public var epoch: UInt64
    /// Handed out from 1 without a gap.
    public var offset: UInt64

    public init(epoch: UInt64, offset: UInt64) {
        self.epoch = epoch
        self.offset = offset
    }

    /// Reads `<epoch>-<offset>`; nil if the text is anything else.
    public init?(_ text: String) { self.init(text.utf8Span.span) }

    /// Reads `<epoch>-<offset>`; nil if the bytes are anything else.
    public init?(_ bytes: Span<UInt8>) {
        var at = 0
        guard let position = Self.read(bytes, &at), at == bytes.count else { return nil }
        self = position
    }

    static func read(_ bytes: Span<UInt8>, _ at: inout Int) -> StreamPosition? {
        guard let epoch = readDigits(bytes, &at), at < bytes.count, bytes[at] == UInt8(ascii: "-") else { return nil }
        at &+= 1
        guard let offset = readDigits(bytes, &at) else { return nil }
        return StreamPosition(epoch: epoch, offset: offset)
    }

    public func append(to bytes: inout [UInt8]) {
        appendDigits(epoch, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        appendDigits(offset, to: &bytes)
    }

    public var description: String { "\(epoch)-\(offset)" }

    public static func < (left: Self, right: Self) -> Bool {
        (left.epoch, left.offset) < (right.epoch, right.offset)
    }
}

/// Where a client stands, in a form that is opaque to it: `1.<epoch>-<offset>`.
///
/// A stream that a ticket opened adds a tag, `1.<epoch>-<offset>.<tag>`, which says nothing about the position. It is ignored
/// here, and checked where the ticket is used again.
public struct Cursor: Hashable, Sendable, CustomStringConvertible {
    /// The longest tag that is accepted here, in bytes.
    public static let maximumTag = 64

    public var position: StreamPosition

    public init(_ position: StreamPosition) { self.position = position }

    /// Nil for anything but a cursor of version 1. The answer is then `recovered: false`.
    public init?(_ text: String) { self.init(text.utf8Span.span) }

    /// Nil for anything but a cursor of version 1.
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count > 2, bytes[0] == UInt8(ascii: "1"), bytes[1] == UInt8(ascii: ".") else { return nil }
        var at = 2
        guard let position = StreamPosition.read(bytes, &at), at == bytes.count || Self.isTag(bytes, at) else { return nil }
        self.position = position
    }

    /// A dot and letters of base64url, to the end.
    private static func isTag(_ bytes: Span<UInt8>, _ start: Int) -> Bool {
        guard bytes[start] == UInt8(ascii: "."), (2...maximumTag + 1).contains(bytes.count - start) else { return false }
        for index in (start + 1)..<bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                continue
            default: return false
            }
        }
        return true
    }

    public func append(to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "1"))
        bytes.append(UInt8(ascii: "."))
        position.append(to: &bytes)
    }

    public var description: String { "1.\(position)" }
}
