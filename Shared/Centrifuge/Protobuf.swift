/// Bytes that are no message: a varint that is cut short or too long, a length beyond the end, a group, text that is not UTF-8.
struct ProtobufError: Error, Equatable {}

/// One field of a message, by its wire type. A message inside it is not looked into.
enum ProtobufValue: Equatable {
    case varint(UInt64)
    /// Where its bytes stand in the message.
    case bytes(Range<Int>)
    /// Of a fixed width, in which no field here is sent.
    case fixed
}

/// Protocol Buffers' wire format, as far as the client protocol uses it (protobuf.dev, "Encoding").
///
/// Nothing here recurses: who knows a field reads the message inside it, and a field that nobody knows is stepped over whole.
enum Protobuf {
    static func varint(_ bytes: Span<UInt8>, _ at: inout Int) throws(ProtobufError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < bytes.count {
            let byte = bytes[at]
            at &+= 1
            // The tenth byte has room for one bit.
            if shift == 63, byte > 1 { throw ProtobufError() }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        throw ProtobufError()
    }

    /// A length, and as many bytes.
    static func delimited(_ bytes: Span<UInt8>, _ at: inout Int) throws(ProtobufError) -> Range<Int> {
        let length = try varint(bytes, &at)
        guard length <= UInt64(bytes.count &- at) else { throw ProtobufError() }
        let start = at
        at &+= Int(length)
        return start..<at
    }

    /// The next field of a message, with its number; nil at the message's end.
    static func field(
        _ bytes: Span<UInt8>, _ at: inout Int
    ) throws(ProtobufError) -> (number: UInt32, value: ProtobufValue)? {
        guard at < bytes.count else { return nil }
        guard let tag = UInt32(exactly: try varint(bytes, &at)), tag >> 3 > 0 else { throw ProtobufError() }
        switch tag & 7 {
        case 0: return (tag >> 3, .varint(try varint(bytes, &at)))
        case 1: return (tag >> 3, try fixed(8, bytes, &at))
        case 2: return (tag >> 3, .bytes(try delimited(bytes, &at)))
        case 5: return (tag >> 3, try fixed(4, bytes, &at))
        // Groups, which nothing has used since proto2, and what has no meaning.
        default: throw ProtobufError()
        }
    }

    private static func fixed(
        _ length: Int, _ bytes: Span<UInt8>, _ at: inout Int
    ) throws(ProtobufError) -> ProtobufValue {
        guard length <= bytes.count &- at else { throw ProtobufError() }
        at &+= length
        return .fixed
    }

    static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(ProtobufError) -> String {
        do {
            return String(copying: try UTF8Span(validating: bytes.extracting(range)))
        } catch {
            throw ProtobufError()
        }
    }
}
