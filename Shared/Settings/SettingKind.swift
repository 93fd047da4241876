/// A form that a setting's text can take, and how it is read. Readers are total: text that does not fit gives `nil`.
public struct SettingKind<Value: Sendable>: Sendable {
    /// The form in words, for complaints and for the lists.
    public let form: String
    let read: @Sendable (String) -> Value?

    public init(form: String, read: @escaping @Sendable (String) -> Value?) {
        self.form = form
        self.read = read
    }
}

extension SettingKind where Value == Duration {
    /// `500ms`, `30s`, `15m`, `12h`, `7d`; whole numbers, no sign, the unit is required.
    public static func duration(_ bounds: ClosedRange<Duration> = .zero ... .seconds(3650 * 86400)) -> Self {
        let limits = "from \(durationText(bounds.lowerBound)) to \(durationText(bounds.upperBound))"
        return SettingKind(form: "a duration (500ms, 30s, 15m, 12h, 7d) \(limits)") { text in
            guard let value = parseDuration(text), bounds.contains(value) else { return nil }
            return value
        }
    }
    public static var duration: Self { duration() }
}

extension SettingKind where Value == Int {
    /// A whole number within bounds.
    public static func integer(_ bounds: ClosedRange<Int>) -> Self {
        SettingKind(form: "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)") { text in
            guard let value = parseInteger(text), bounds.contains(value) else { return nil }
            return value
        }
    }

    /// A number of bytes: `512B`, `64KB`, `1MB`, `2GB`, of 1,024 each step.
    public static func size(_ bounds: ClosedRange<Int>) -> Self {
        let limits = "from \(sizeText(bounds.lowerBound)) to \(sizeText(bounds.upperBound))"
        return SettingKind(form: "a size (512B, 64KB, 1MB) \(limits)") { text in
            guard let value = parseSize(text), bounds.contains(value) else { return nil }
            return value
        }
    }

    /// A TCP port; 0 takes a free one.
    public static var port: Self {
        SettingKind(form: "a port from 0 to 65535 (0: any free one)") { text in
            guard let value = parseInteger(text), (0...65535).contains(value) else { return nil }
            return value
        }
    }
}

extension SettingKind where Value == Bool {
    public static var boolean: Self {
        SettingKind(form: "true or false") { text in
            switch text {
            case "true", "1", "yes", "on": true
            case "false", "0", "no", "off": false
            default: nil
            }
        }
    }
}

extension SettingKind where Value == String {
    /// Any text of a length within bounds, in bytes, without control characters.
    public static func text(_ bytes: ClosedRange<Int> = 1...4096) -> Self {
        let form = bytes.lowerBound > 1 ? "text of \(bytes.lowerBound) bytes or more" : "text"
        return SettingKind(form: form) { text in
            bytes.contains(text.utf8.count) && !text.utf8.contains { $0 < 0x20 || $0 == 0x7F } ? text : nil
        }
    }
    public static var text: Self { text() }

    /// A name that can stand in a key, a topic or a metric: letters, digits, `.`, `_` and `-`.
    public static func name(_ bytes: ClosedRange<Int> = 1...64) -> Self {
        SettingKind(form: "a name of letters, digits, '.', '_' and '-', at most \(bytes.upperBound) bytes") { text in
            bytes.contains(text.utf8.count) && text.utf8.allSatisfy(isNameByte) ? text : nil
        }
    }

    /// A path of the file system; whether it exists is for its reader to say.
    public static var path: Self {
        SettingKind(form: "the path of a file") { text in
            text.utf8.count <= 4096 && !text.utf8.contains { $0 < 0x20 || $0 == 0x7F } ? text : nil
        }
    }
}

extension SettingKind {
    /// One of the names of an enumeration.
    public static func choice(_ values: Value.Type = Value.self) -> Self
    where Value: CaseIterable & RawRepresentable, Value.RawValue == String {
        SettingKind(form: "one of " + Value.allCases.map(\.rawValue).joined(separator: ", ")) { text in
            Value(rawValue: text)
        }
    }

    /// Several of one kind, separated by commas; blanks around them are ignored.
    public static func list<Element>(of kind: SettingKind<Element>) -> Self where Value == [Element] {
        SettingKind(form: "a list, separated by commas, of: \(kind.form)") { text in
            var values: [Element] = []
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                guard let value = kind.read(String(trimmed(part))) else { return nil }
                values.append(value)
            }
            return values
        }
    }
}

// MARK: - Reading

func parseInteger(_ text: some StringProtocol) -> Int? {
    // The reader of `Int` accepts a plus sign, which nobody writes on purpose.
    guard text.utf8.first != UInt8(ascii: "+") else { return nil }
    return Int(text)
}

func parseDuration(_ text: String) -> Duration? {
    let units: [(String, Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
    guard let (digits, milliseconds) = splitUnit(text, units) else { return nil }
    guard let count = Int64(digits) else { return nil }
    let (total, overflow) = count.multipliedReportingOverflow(by: milliseconds)
    return overflow ? nil : .milliseconds(total)
}

func parseSize(_ text: String) -> Int? {
    let units: [(String, Int64)] = [("KB", 1024), ("MB", 1 << 20), ("GB", 1 << 30), ("B", 1)]
    guard let (digits, bytes) = splitUnit(text, units) else { return nil }
    guard let count = Int64(digits) else { return nil }
    let (total, overflow) = count.multipliedReportingOverflow(by: bytes)
    return overflow ? nil : Int(exactly: total)
}

private func splitUnit(_ text: String, _ units: [(String, Int64)]) -> (digits: Substring, factor: Int64)? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let unit = text[digits.endIndex...]
    guard !digits.isEmpty, let found = units.first(where: { $0.0 == unit }) else { return nil }
    return (digits, found.1)
}

func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
    default: false
    }
}

func trimmed(_ text: Substring) -> Substring {
    var text = text
    while let first = text.first, first.isWhitespace { text.removeFirst() }
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return text
}

// MARK: - Showing

func durationText(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    let milliseconds = attoseconds / 1_000_000_000_000_000
    if milliseconds != 0 { return "\(seconds * 1000 + milliseconds)ms" }
    for (unit, length) in [("d", Int64(86400)), ("h", 3600), ("m", 60)]
    where seconds >= length && seconds % length == 0 {
        return "\(seconds / length)\(unit)"
    }
    return "\(seconds)s"
}

func sizeText(_ bytes: Int) -> String {
    for (unit, length) in [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)]
    where bytes >= length && bytes % length == 0 {
        return "\(bytes / length)\(unit)"
    }
    return "\(bytes)B"
}
