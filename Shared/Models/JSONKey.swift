/// A member's name as one number, so that a reader switches over names without making a string.
///
/// Names of more than 16 bytes, and the empty one, are all `other`. Declare the names of a form as
/// `extension JSONKey { static let title = JSONKey("title") }` and `switch` over them.
public struct JSONKey: Hashable, Sendable {
    let packed: UInt128

    /// A name that no form here uses.
    public static let other = JSONKey(packed: 0)

    init(packed: UInt128) { self.packed = packed }

    public init(_ name: String) {
        var packed: UInt128 = 0
        precondition(name.utf8.count <= 16, "a key of more than 16 bytes")
        for byte in name.utf8 { packed = packed << 8 | UInt128(byte) }
        self.packed = packed
    }

    public init(_ bytes: Span<UInt8>, _ name: JSONString) {
        if name.isEscaped {
            let text = JSON.unescaped(bytes, name)
            self.init(text.span, 0..<text.count)
        } else {
            self.init(bytes, name.contents)
        }
    }

    init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        guard range.count <= 16 else {
            self = .other
            return
        }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in range {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(bytes[index])
        }
        packed = UInt128(high) << 64 | UInt128(low)
    }
}
