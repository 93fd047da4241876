/// Reads the members of a JSON object (RFC 8259) that are asked for, and skips all others, whatever they hold: neither a deep
/// nesting, nor a large number, nor a strange text matters. Nothing may follow the object, and no name that is asked for may
/// stand twice. Every failure is `nil`; no input traps.
struct ClaimsReader {
    enum Value: Equatable {
        case string(String)
        case number(Double)
        case strings([String])
        case null
        /// Anything else: an object, a list of other things, text that is not Unicode.
        case other
    }

    struct Member {
        let value: Value
        /// The range of the value in the input.
        let range: Range<Int>
    }

    private let bytes: [UInt8]
    private var position = 0

    /// Reads `bytes` as one object and returns the members whose names are among `wanted`.
    static func members(_ bytes: [UInt8], _ wanted: Set<String>) -> [String: Member]? {
        guard String(validating: bytes, as: UTF8.self) != nil else { return nil }
        var reader = ClaimsReader(bytes: bytes)
        return reader.object(wanted)
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private mutating func object(_ wanted: Set<String>) -> [String: Member]? {
        guard take(UInt8(ascii: "{")) else { return nil }
        var members: [String: Member] = [:]
        if !take(UInt8(ascii: "}")) {
            repeat {
                skipBlanks()
                let nameStart = position
                guard skipString() else { return nil }
                let name = text(at: nameStart)
                guard take(UInt8(ascii: ":")) else { return nil }
                skipBlanks()
                let start = position
                guard skip() else { return nil }
                guard let name, wanted.contains(name) else { continue }
                let member = Member(value: value(at: start), range: start..<position)
                guard members.updateValue(member, forKey: name) == nil else { return nil }
            } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "}")) else { return nil }
        }
        skipBlanks()
        return position == bytes.count ? members : nil
    }

    // MARK: What is passed over

    /// Moves over one value of any kind.
    private mutating func skip() -> Bool {
        /// The closing byte of each object and list that is open.
        var open: [UInt8] = []
        repeat {
            skipBlanks()
            switch peek() {
            case UInt8(ascii: "{"):
                position += 1
                if take(UInt8(ascii: "}")) { break }
                open.append(UInt8(ascii: "}"))
                guard skipName() else { return false }
                continue
            case UInt8(ascii: "["):
                position += 1
                if take(UInt8(ascii: "]")) { break }
                open.append(UInt8(ascii: "]"))
                continue
            case UInt8(ascii: "\""): guard skipString() else { return false }
            case UInt8(ascii: "t"): guard take(word: "true") else { return false }
            case UInt8(ascii: "f"): guard take(word: "false") else { return false }
            case UInt8(ascii: "n"): guard take(word: "null") else { return false }
            default: guard skipNumber() else { return false }
            }
            guard close(&open) else { return false }
        } while !open.isEmpty
        return true
    }

    /// After a value: moves over a comma and what precedes the next value, or over the ends of open containers.
    private mutating func close(_ open: inout [UInt8]) -> Bool {
        while let end = open.last {
            if take(UInt8(ascii: ",")) { return end == UInt8(ascii: "]") || skipName() }
            guard take(end) else { return false }
            open.removeLast()
        }
        return true
    }

    private mutating func skipName() -> Bool {
        skipBlanks()
        return skipString() && take(UInt8(ascii: ":"))
    }

    private mutating func skipNumber() -> Bool {
        if peek() == UInt8(ascii: "-") { position += 1 }
        let whole = position
        guard digits() else { return false }
        if bytes[whole] == UInt8(ascii: "0"), position - whole > 1 { return false }
        if peek() == UInt8(ascii: ".") {
            position += 1
            guard digits() else { return false }
        }
        if let letter = peek(), letter | 0x20 == UInt8(ascii: "e") {
            position += 1
            if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
            guard digits() else { return false }
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = position
        while let byte = peek(), (0x30...0x39).contains(byte) { position += 1 }
        return position > start
    }

    private mutating func skipString() -> Bool {
        guard peek() == UInt8(ascii: "\"") else { return false }
        position += 1
        while let byte = peek(), byte >= 0x20 {
            position += 1
            if byte == UInt8(ascii: "\"") { return true }
            guard byte == UInt8(ascii: "\\") else { continue }
            guard let letter = peek(), Self.escapes.contains(letter) else { return false }
            position += 1
            if letter == UInt8(ascii: "u"), hexUnit() == nil { return false }
        }
        return false
    }

    private static let escapes = Array(#""\/bfnrtu"#.utf8)

    // MARK: What is read

    /// The value at `start`, which `skip` has moved over.
    private func value(at start: Int) -> Value {
        var reader = self
        reader.position = start
        switch bytes[start] {
        case UInt8(ascii: "\""): return reader.string().map(Value.string) ?? .other
        case UInt8(ascii: "["): return reader.strings().map(Value.strings) ?? .other
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "{"), UInt8(ascii: "t"), UInt8(ascii: "f"): return .other
        default: return Double(String(decoding: bytes[start..<position], as: UTF8.self)).map(Value.number) ?? .other
        }
    }

    /// The text of the string at `start`; nil if it is not Unicode.
    private func text(at start: Int) -> String? {
        var reader = self
        reader.position = start
        return reader.string()
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
