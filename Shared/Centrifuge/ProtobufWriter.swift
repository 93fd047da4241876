/// A growing buffer of Protobuf messages. Values that are a type's zero are left out, as proto3 does.
struct ProtobufWriter {
    var bytes: [UInt8] = []

    init(capacity: Int) { bytes.reserveCapacity(capacity) }

    mutating func varint(_ value: UInt64) { appendVarint(value, to: &bytes) }

    mutating func field(_ number: UInt64, _ value: UInt64) {
        if value == 0 { return }
        varint(number << 3)
        varint(value)
    }

    mutating func field(_ number: UInt64, _ value: Bool) { field(number, value ? 1 : 0) }

    mutating func field(_ number: UInt64, _ text: String) {
        if text.isEmpty { return }
        varint(number << 3 | 2)
        varint(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func field(_ number: UInt64, _ value: some RandomAccessCollection<UInt8>) {
        if value.isEmpty { return }
        varint(number << 3 | 2)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// A message inside this one; it is there even if it is empty.
    mutating func message(_ number: UInt64, _ body: (inout ProtobufWriter) -> Void) {
        varint(number << 3 | 2)
        delimited(body)
    }

    /// Bytes behind their length, which is known last.
    mutating func delimited(_ body: (inout ProtobufWriter) -> Void) {
        let start = bytes.count
        body(&self)
        var length: [UInt8] = []
        appendVarint(UInt64(bytes.count - start), to: &length)
        bytes.insert(contentsOf: length, at: start)
    }
}

func appendVarint(_ value: UInt64, to bytes: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
}

/// Bytes that `appendVarint` appends.
func varintLength(_ value: UInt64) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }
