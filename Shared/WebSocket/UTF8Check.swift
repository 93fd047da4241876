/// Checks UTF-8 byte by byte (RFC 3629), so that a broken character shows at its first wrong byte, over any borders.
struct UTF8Check {
    /// Continuation bytes that must still come.
    private var expected: UInt8 = 0
    /// What the next continuation byte may be; narrower than 80...BF after E0, ED, F0 and F4.
    private var low: UInt8 = 0x80
    private var high: UInt8 = 0xBF

    var isBetweenCharacters: Bool { expected == 0 }

    mutating func accepts(_ byte: UInt8) -> Bool {
        if expected == 0 { return accepts(first: byte) }
        guard byte >= low, byte <= high else { return false }
        expected -= 1
        (low, high) = (0x80, 0xBF)
        return true
    }

    private mutating func accepts(first byte: UInt8) -> Bool {
        switch byte {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: expected = 1
        case 0xE0...0xEF:
            expected = 2
            if byte == 0xE0 { low = 0xA0 }  // Overlong below.
            if byte == 0xED { high = 0x9F }  // Surrogates above.
        case 0xF0...0xF4:
            expected = 3
            if byte == 0xF0 { low = 0x90 }
            if byte == 0xF4 { high = 0x8F }  // Nothing above U+10FFFF.
        default: return false
        }
        return true
    }
}
