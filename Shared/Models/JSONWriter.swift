/// A growing buffer of JSON. One owner writes it and passes it `inout`, which is what makes it cheap.
///
/// It adds no commas by itself: forms are written as literals (`writer.raw(#","title":"#)`) and values.
public struct JSONWriter: ~Copyable, Sendable {
    /// What has been written.
    public var bytes: [UInt8] = []

    public init(capacity: Int = 0) {
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    public var count: Int { bytes.count }

    /// Returns the bytes and starts with an empty buffer.
    public mutating func take() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        return taken
    }

    /// Removes the bytes and keeps the memory.
    public mutating func clear() { bytes.removeAll(keepingCapacity: true) }

    /// JSON as it is.
    public mutating func raw(_ json: String) { bytes.append(contentsOf: json.utf8) }

    /// JSON as it is.
    public mutating func raw(_ json: [UInt8]) { bytes.append(contentsOf: json) }

    /// Appends a part of other JSON as it is.
    public mutating func raw(_ json: [UInt8], _ range: Range<Int>) { bytes.append(contentsOf: json[range]) }

    public mutating func byte(_ byte: UInt8) { bytes.append(byte) }

    /// Appends a value that was checked to be JSON, on one line. In valid JSON a line break stands only between tokens, so it
    /// is left out.
    public mutating func line(_ json: [UInt8], _ range: Range<Int>) {
        guard json[range].contains(where: { $0 == 0x0A || $0 == 0x0D }) else { return raw(json, range) }
        for byte in json[range] where byte != 0x0A && byte != 0x0D { bytes.append(byte) }
    }

    public mutating func integer(_ value: Int64) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        digits(value.magnitude)
    }

    /// Appends decimal digits.
    public mutating func digits(_ value: UInt64) { appendDigits(value, to: &bytes) }

    public mutating func bool(_ value: Bool) { raw(value ? "true" : "false") }

    /// Appends a string with its quotes, escaped where RFC 8259 section 7 demands it.
    public mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        if text.utf8.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
            for byte in text.utf8 { escaped(byte) }
        } else {
            bytes.append(contentsOf: text.utf8)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): raw(#"\""#)
        case UInt8(ascii: "\\"): raw(#"\\"#)
        case 0x0A: raw(#"\n"#)
        case 0x0D: raw(#"\r"#)
        case 0x09: raw(#"\t"#)
        case 0..<0x20:
            raw(#"\u00"#)
            bytes.append(lowerHexadecimal(byte >> 4))
            bytes.append(lowerHexadecimal(byte & 15))
        default: bytes.append(byte)
        }
    }
}

/// The lower-case hexadecimal digit of a value below 16.
func lowerHexadecimal(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &+ value &- 10
}

/// Appends a number's decimal digits.
public func appendDigits(_ value: UInt64, to bytes: inout [UInt8]) {
    if value < 10 { return bytes.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value)) }
    var length = 0
    var rest = value
    while rest > 0 {
        length &+= 1
        rest /= 10
    }
    var divisor: UInt64 = 1
    for _ in 1..<length { divisor &*= 10 }
    rest = value
    while divisor > 0 {
        bytes.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest / divisor))
        rest %= divisor
        divisor /= 10
    }
}

/// Reads decimal digits up to the first other byte. Nil if there is no digit, or if the number does not fit 64 bits.
func readDigits(_ bytes: Span<UInt8>, _ at: inout Int) -> UInt64? {
    let start = at
    var value: UInt64 = 0
    while at < bytes.count {
        let digit = bytes[at] &- UInt8(ascii: "0")
        guard digit <= 9 else { break }
        let (shifted, over) = value.multipliedReportingOverflow(by: 10)
        let (next, above) = shifted.addingReportingOverflow(UInt64(digit))
        guard !over, !above else { return nil }
        value = next
        at &+= 1
    }
    return at > start ? value : nil
}
