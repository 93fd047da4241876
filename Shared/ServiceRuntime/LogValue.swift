internal import Models

/// What may stand in a log line. There is no case for an arbitrary string, so that a payload, a token or a
/// string that a client chose cannot slip in: every text is known at compile time, or is vouched for by name.
public enum LogValue: Sendable {
    case int(Int64)
    case double(Double)
    case bool(Bool)
    case duration(Duration)
    /// A text of the source code.
    case text(StaticString)
    /// A text that the operator wrote: an address, a file, a topic, an instance. It never comes from a client or a record.
    case configured(String)
    /// A client's address, as the operator wants it to be written.
    case client(LoggedAddress)
    /// The name of an error's case, without what it carries, unless its type vouches for its text (`LogReason`).
    case error(any Error)

    public static func count(_ value: some BinaryInteger) -> LogValue { .int(Int64(clamping: value)) }
    public static func milliseconds(_ value: some BinaryInteger) -> LogValue {
        .duration(.milliseconds(Int64(clamping: value)))
    }
    /// The raw value of an enumeration of the source code.
    public static func name<Name: RawRepresentable<String> & CaseIterable>(_ value: Name) -> LogValue {
        .configured(value.rawValue)
    }
}

extension LogValue: ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// An error whose text holds nothing that a client, a producer or a server's answer brought.
public protocol LogReason: Error {
    var logText: String { get }
}

extension LogValue {
    /// Appends the value as logfmt has it: bare where it can be, in quotes otherwise.
    func append(to line: inout [UInt8]) {
        switch self {
        case .int(let value): line.append(contentsOf: String(value).utf8)
        case .double(let value): line.append(contentsOf: value.description.utf8)
        case .bool(let value): line.append(contentsOf: (value ? "true" : "false").utf8)
        case .duration(let value): line.append(contentsOf: Self.text(of: value).utf8)
        case .text, .configured, .client, .error: Self.append(text: text, to: &line)
        }
    }

    /// Appends the value as JSON has it; a duration is its seconds.
    func append(to writer: inout JSONWriter) {
        switch self {
        case .int(let value): writer.integer(value)
        // JSON has neither NaN nor infinity.
        case .double(let value): value.isFinite ? writer.raw(value.description) : writer.string(value.description)
        case .bool(let value): writer.bool(value)
        case .duration(let value): writer.raw((value / .seconds(1)).description)
        case .text, .configured, .client, .error: writer.string(text)
        }
    }

    /// The value without quotes.
    var text: String {
        switch self {
        case .int(let value): String(value)
        case .double(let value): value.description
        case .bool(let value): value ? "true" : "false"
        case .duration(let value): Self.text(of: value)
        case .text(let value): value.description
        case .configured(let value): value
        case .client(let address): address.text
        case .error(let error): Self.text(of: error)
        }
    }

    /// Milliseconds below one second, seconds with three digits from there on.
    static func text(of duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if seconds == 0 { return "\(milliseconds)ms" }
        let digits = String(milliseconds.magnitude)
        return "\(seconds)." + String(repeating: "0", count: max(0, 3 - digits.utf8.count)) + digits + "s"
    }

    static func text(of error: any Error) -> String {
        if let reason = error as? any LogReason { return reason.logText }
        // An enumeration's case with a payload shows as one labelled child; the payload itself is left alone.
        let mirror = Mirror(reflecting: error)
        let type = String(describing: Swift.type(of: error))
        guard mirror.displayStyle == .enum else { return type }
        if let label = mirror.children.first?.label { return "\(type).\(label)" }
        if error is any CustomStringConvertible { return type }
        return "\(type).\(error)"
    }

    /// Quotes what is not plain, and escapes what would break a line or its quotes.
    static func append(text: String, to line: inout [UInt8]) {
        let plain = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x3d && $0 != 0x5c }
        if plain { return line.append(contentsOf: text.utf8) }
        line.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5c: line.append(contentsOf: [0x5c, byte])
            case 0x0a: line.append(contentsOf: [0x5c, 0x6e])
            case 0..<0x20, 0x7f: line.append(0x20)
            default: line.append(byte)
            }
        }
        line.append(0x22)
    }
}
