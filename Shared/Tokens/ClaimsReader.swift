/// Reads the JSON (RFC 8259) of a token's header and claims. Strict: no byte after the value, no duplicate name at the
/// top, no nesting deeper than 16. Every failure is `nil`; no input traps.
struct ClaimsReader {
    enum Value: Equatable {
        case string(String)
        case number(Double)
        case strings([String])
        /// Anything else, as a range of the input.
        case other
    }

    struct Member {
        let name: String
        let value: Value
        let range: Range<Int>
    }

    private let bytes: [UInt8]
    private var position = 0

    /// The members of the object that `bytes` is, in order.
    static func members(_ bytes: [UInt8]) -> [Member]? {
        var reader = ClaimsReader(bytes: bytes)
        return reader.object()
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private mutating func object() -> [Member]? {
        guard take(UInt8(ascii: "{")) else { return nil }
        var members: [Member] = []
        if !take(UInt8(ascii: "}")) {
            repeat {
                skipBlanks()
                guard let name = string(), take(UInt8(ascii: ":")) else { return nil }
                skipBlanks()
                let start = position
                guard let value = value() else { return nil }
                guard members.count < 64, !members.contains(where: { $0.name == name }) else { return nil }
                members.append(Member(name: name, value: value, range: start..<position))
            } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "}")) else { return nil }
        }
        skipBlanks()
        return position == bytes.count ? members : nil
    }

    private mutating func value() -> Value? {
        switch peek() {
        case UInt8(ascii: "\""): return string().map(Value.string)
        case UInt8(ascii: "["):
            let start = position
            if let strings = strings() { return .strings(strings) }
            position = start
            return skip(depth: 0) ? .other : nil
        case UInt8(ascii: "{"), UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
            return skip(depth: 0) ? .other : nil
        default: return number().map(Value.number)
        }
    }

    private mutating func strings() -> [String]? {
        guard take(UInt8(ascii: "[")) else { return nil }
        var values: [String] = []
        if take(UInt8(ascii: "]")) { return values }
        repeat {
            skipBlanks()
            guard let value = string() else { return nil }
            values.append(value)
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "]")) ? values : nil
    }

    private mutating func skip(depth: Int) -> Bool {
        guard depth < 16, let first = peek() else { return false }
        switch first {
        case UInt8(ascii: "\""): return string() != nil
        case UInt8(ascii: "t"): return take(word: "true")
        case UInt8(ascii: "f"): return take(word: "false")
        case UInt8(ascii: "n"): return take(word: "null")
        case UInt8(ascii: "["), UInt8(ascii: "{"):
            position += 1
            let isObject = first == UInt8(ascii: "{")
            let end = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
            if take(end) { return true }
            repeat {
                skipBlanks()
                if isObject {
                    guard string() != nil, take(UInt8(ascii: ":")) else { return false }
                    skipBlanks()
                }
                guard skip(depth: depth + 1) else { return false }
            } while take(UInt8(ascii: ","))
            return take(end)
        default: return number() != nil
        }
    }

    private mutating func number() -> Double? {
        let start = position
        if peek() == UInt8(ascii: "-") { position += 1 }
        let whole = position
        guard digits() else { return nil }
        if bytes[whole] == UInt8(ascii: "0"), position - whole > 1 { return nil }
        if peek() == UInt8(ascii: ".") {
            position += 1
            guard digits() else { return nil }
        }
        if let letter = peek(), letter | 0x20 == UInt8(ascii: "e") {
            position += 1
            if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
            guard digits() else { return nil }
        }
        guard position - start <= 32 else { return nil }
        if position - whole <= 15, let exact = integer(from: whole) {
            return start == whole ? Double(exact) : -Double(exact)
        }
        return Double(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    /// The digits from `start` to here, if nothing but digits stands there: the usual case, without a string.
    private func integer(from start: Int) -> Int64? {
        var value: Int64 = 0
        for byte in bytes[start..<position] {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value &* 10 &+ Int64(byte &- 0x30)
        }
        return value
    }

    private mutating func digits() -> Bool {
        let start = position
        while let byte = peek(), (0x30...0x39).contains(byte) { position += 1 }
        return position > start
    }

    private mutating func string() -> String? {
        guard peek() == UInt8(ascii: "\"") else { return nil }
        position += 1
        let start = position
        while let byte = peek(), byte >= 0x20 {
            if byte == UInt8(ascii: "\"") {
                position += 1
                return String(validating: bytes[start..<(position - 1)], as: UTF8.self)
            }
            if byte == UInt8(ascii: "\\") { return escapedString(from: start) }
            position += 1
        }
        return nil
    }

    private mutating func escapedString(from start: Int) -> String? {
        var text = Array(bytes[start..<position])
        while let byte = peek(), byte >= 0x20 {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escape() else { return nil }
                text.append(contentsOf: String(Character(scalar)).utf8)
            default: text.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        guard let letter = peek() else { return nil }
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard let unit = hexUnit() else { return nil }
            guard (0xD800...0xDBFF).contains(unit) else { return Unicode.Scalar(unit) }
            guard take(word: "\\u"), let low = hexUnit(), (0xDC00...0xDFFF).contains(low) else { return nil }
            return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
        default: return nil
        }
    }

    private mutating func hexUnit() -> UInt32? {
        guard bytes.count - position >= 4 else { return nil }
        var unit: UInt32 = 0
        for byte in bytes[position..<(position + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        position += 4
        return unit
    }

    private func peek() -> UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    private mutating func skipBlanks() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    private mutating func take(word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard bytes.count - position >= count else { return false }
        guard bytes[position..<(position + count)].elementsEqual(word.description.utf8) else { return false }
        position += count
        return true
    }
}
