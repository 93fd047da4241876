/// A place in an inbox: the id of a Redis Stream's entry, `<epoch>-<offset>`. Offset 0 is before everything.
public struct StreamPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Redis's time in ms when this numbering began.
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
public struct Cursor: Hashable, Sendable, CustomStringConvertible {
    public var position: StreamPosition

    public init(_ position: StreamPosition) { self.position = position }

    /// Nil for anything that is no cursor of version 1: the answer is then `recovered: false`.
    public init?(_ text: String) { self.init(text.utf8Span.span) }

    /// Nil for anything that is no cursor of version 1.
    public init?(_ bytes: Span<UInt8>) {
        guard bytes.count > 2, bytes[0] == UInt8(ascii: "1"), bytes[1] == UInt8(ascii: "."),
            let position = StreamPosition(bytes.extracting(2..<bytes.count))
        else { return nil }
        self.position = position
    }

    public func append(to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "1"))
        bytes.append(UInt8(ascii: "."))
        position.append(to: &bytes)
    }

    public var description: String { "1.\(position)" }
}
