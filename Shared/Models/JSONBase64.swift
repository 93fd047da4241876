extension JSON {
    /// Decodes a string in Base64 (RFC 4648 section 4), with or without its padding; nil if it is not Base64.
    static func base64(_ bytes: Span<UInt8>, _ string: JSONString) -> [UInt8]? {
        if string.isEscaped {
            let text = unescaped(bytes, string)
            return base64(text.span, 0..<text.count)
        }
        return base64(bytes, string.contents)
    }

    private static func base64(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8]? {
        var end = range.upperBound
        while end > range.lowerBound, end > range.upperBound &- 2, bytes[end &- 1] == UInt8(ascii: "=") { end &-= 1 }
        if end != range.upperBound, range.count % 4 != 0 { return nil }
        var result: [UInt8] = []
        result.reserveCapacity((end &- range.lowerBound) / 4 &* 3 &+ 2)
        var bits: UInt32 = 0
        var count = 0
        for index in range.lowerBound..<end {
            guard let value = sixBits(bytes[index]) else { return nil }
            bits = bits << 6 | UInt32(value)
            count &+= 6
            if count >= 8 {
                count &-= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
                bits &= 1 << UInt32(count) &- 1
            }
        }
        // A single letter at the end encodes nothing. If unused bits could be set, two texts would decode to the same bytes.
        return count == 6 || bits != 0 ? nil : result
    }

    private static func sixBits(_ letter: UInt8) -> UInt8? {
        switch letter {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): letter &- UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): letter &- UInt8(ascii: "a") &+ 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): letter &- UInt8(ascii: "0") &+ 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
