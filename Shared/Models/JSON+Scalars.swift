extension JSON {
    /// Reads a string, and checks its escapes, control characters and UTF-8.
    public static func string(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> JSONString {
        guard try kind(bytes, &at) == .string else { throw .unexpected(at: at) }
        let start = at &+ 1
        var index = start
        var isEscaped = false
        let count = bytes.count
        while index < count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                at = index &+ 1
                return JSONString(contents: start..<index, isEscaped: isEscaped)
            }
            if byte >= 0x80 {
                index = try afterScalar(bytes, index)
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
                index = try afterEscape(bytes, index)
            } else if byte < 0x20 {
                throw .malformed(at: index)
            } else {
                index &+= 1
            }
        }
        throw .malformed(at: count)
    }

    /// Reads a string; nil where the value is `null`.
    public static func optionalString(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> JSONString? {
        if try kind(bytes, &at) == .null {
            try null(bytes, &at)
            return nil
        }
        return try string(bytes, &at)
    }

    /// Reads a whole number that fits 64 bits, without fraction or exponent.
    public static func integer(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Int64 {
        guard try kind(bytes, &at) == .number else { throw .unexpected(at: at) }
        let range = try number(bytes, &at)
        var index = range.lowerBound
        let isNegative = bytes[index] == UInt8(ascii: "-")
        if isNegative { index &+= 1 }
        var value: Int64 = 0
        while index < range.upperBound {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { throw .unexpected(at: range.lowerBound) }
            let (shifted, over) = value.multipliedReportingOverflow(by: 10)
            let (next, above) = shifted.addingReportingOverflow(isNegative ? -Int64(digit) : Int64(digit))
            guard !over, !above else { throw .unexpected(at: range.lowerBound) }
            value = next
            index &+= 1
        }
        return value
    }

    /// `true` or `false`.
    public static func bool(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Bool {
        guard try kind(bytes, &at) == .bool else { throw .unexpected(at: at) }
        if bytes[at] == UInt8(ascii: "t") {
            try literal(bytes, &at, 0x7472_7565, 4)
            return true
        }
        at &+= 1
        try literal(bytes, &at, 0x616C_7365, 4)
        return false
    }

    /// `null`.
    public static func null(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) {
        guard try kind(bytes, &at) == .null else { throw .unexpected(at: at) }
        try literal(bytes, &at, 0x6E75_6C6C, 4)
    }

    private static func literal(_ bytes: Span<UInt8>, _ at: inout Int, _ word: UInt32, _ length: Int) throws(JSONError) {
        guard bytes.count &- at >= length else { throw .malformed(at: bytes.count) }
        var found: UInt32 = 0
        for index in 0..<length { found = found << 8 | UInt32(bytes[at &+ index]) }
        guard found == word else { throw .malformed(at: at) }
        at &+= length
    }

    /// Reads over a number and checks it against RFC 8259 section 6. Its value is not computed.
    public static func number(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Range<Int> {
        let start = at
        if at < bytes.count, bytes[at] == UInt8(ascii: "-") { at &+= 1 }
        guard at < bytes.count else { throw .malformed(at: at) }
        if bytes[at] == UInt8(ascii: "0") { at &+= 1 } else { try digits(bytes, &at) }
        if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
            at &+= 1
            try digits(bytes, &at)
        }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at &+= 1
            if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at &+= 1 }
            try digits(bytes, &at)
        }
        return start..<at
    }

    private static func digits(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) {
        let start = at
        while at < bytes.count, bytes[at] &- UInt8(ascii: "0") <= 9 { at &+= 1 }
        guard at > start else { throw .malformed(at: at) }
    }

    // MARK: Text

    /// What a string says.
    public static func text(_ bytes: Span<UInt8>, _ string: JSONString) -> String {
        string.isEscaped
            ? String(decoding: unescaped(bytes, string), as: UTF8.self) : text(bytes, string.contents)
    }

    /// Bytes of a range as text; what is not UTF-8 becomes the empty string (the reader has checked it before).
    public static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        guard let text = try? UTF8Span(validating: bytes.extracting(range)) else { return "" }
        return String(copying: text)
    }

    /// The UTF-8 of what a string says.
    public static func unescaped(_ bytes: Span<UInt8>, _ string: JSONString) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(string.contents.count)
        var index = string.contents.lowerBound
        while index < string.contents.upperBound {
            let byte = bytes[index]
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                index &+= 1
                continue
            }
            let next = (try? afterEscape(bytes, index)) ?? string.contents.upperBound
            appendEscape(bytes, index, &result)
            index = next
        }
        return result
    }

    private static func appendEscape(_ bytes: Span<UInt8>, _ index: Int, _ result: inout [UInt8]) {
        switch bytes[index &+ 1] {
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0C)
        case UInt8(ascii: "u"):
            guard let high = hexadecimal(bytes, index &+ 2) else { return }
            var code = UInt32(high)
            if high & 0xFC00 == 0xD800, let low = hexadecimal(bytes, index &+ 8) {
                code = 0x10000 &+ (code & 0x3FF) << 10 &+ UInt32(low & 0x3FF)
            }
            guard let scalar = Unicode.Scalar(code) else { return }
            result.append(contentsOf: String(Character(scalar)).utf8)
        case let other: result.append(other)
        }
    }

    /// The index behind the escape that begins at `index` (RFC 8259 section 7). Half a surrogate pair without its other half is
    /// malformed.
    private static func afterEscape(_ bytes: Span<UInt8>, _ index: Int) throws(JSONError) -> Int {
        guard index &+ 1 < bytes.count else { throw .malformed(at: bytes.count) }
        switch bytes[index &+ 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return index &+ 2
        case UInt8(ascii: "u"):
            guard let code = hexadecimal(bytes, index &+ 2) else { throw .malformed(at: index) }
            guard code & 0xF800 == 0xD800 else { return index &+ 6 }
            guard code & 0xFC00 == 0xD800, index &+ 7 < bytes.count, bytes[index &+ 6] == UInt8(ascii: "\\"),
                bytes[index &+ 7] == UInt8(ascii: "u"), let low = hexadecimal(bytes, index &+ 8),
                low & 0xFC00 == 0xDC00
            else { throw .malformed(at: index) }
            return index &+ 12
        default: throw .malformed(at: index)
        }
    }

    private static func hexadecimal(_ bytes: Span<UInt8>, _ index: Int) -> UInt16? {
        guard index &+ 4 <= bytes.count else { return nil }
        var value: UInt16 = 0
        for place in index..<index &+ 4 {
            guard let digit = hexadecimalDigit(bytes[place]) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    /// The index behind the scalar of several bytes that begins at `index` (RFC 3629: no overlong form, no surrogate).
    private static func afterScalar(_ bytes: Span<UInt8>, _ index: Int) throws(JSONError) -> Int {
        let lead = bytes[index]
        let length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0
        guard length > 0, bytes.count &- index >= length else { throw .malformed(at: index) }
        let second = bytes[index &+ 1]
        let lowest: UInt8 = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80
        let highest: UInt8 = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF
        guard second >= lowest, second <= highest else { throw .malformed(at: index) }
        for place in 2..<max(length, 2) where bytes[index &+ place] & 0xC0 != 0x80 { throw .malformed(at: index) }
        return index &+ length
    }
}

/// The value of one hexadecimal digit of either case.
func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
    default: nil
    }
}
