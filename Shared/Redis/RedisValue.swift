/// One reply of Redis (RESP2).
public enum RedisValue: Equatable, Sendable {
    case null
    case integer(Int64)
    /// A bulk string.
    case bytes([UInt8])
    /// A simple string, `OK` say.
    case status(String)
    case array([RedisValue])
    /// An error inside an array; one that is the whole reply comes as `RedisError.server`.
    case error(String)

    /// The number, also where it came as a string of digits.
    public var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .bytes(let bytes): decimal(bytes)
        default: nil
        }
    }

    public var bytes: [UInt8]? {
        if case .bytes(let bytes) = self { bytes } else { nil }
    }

    /// The text of a string or a status, if it is UTF-8.
    public var text: String? {
        switch self {
        case .bytes(let bytes): String(validating: bytes, as: UTF8.self)
        case .status(let text): text
        default: nil
        }
    }

    public var array: [RedisValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    public var isNull: Bool { self == .null }
}

/// A whole number in decimal, with a sign or without; `nil` if it is anything else or too large.
func decimal(_ bytes: [UInt8]) -> Int64? {
    let isNegative = bytes.first == UInt8(ascii: "-")
    let digits = isNegative ? bytes.dropFirst() : bytes[...]
    guard !digits.isEmpty else { return nil }
    var value: Int64 = 0
    for byte in digits {
        guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        let (shifted, tooLarge) = value.multipliedReportingOverflow(by: 10)
        let digit = Int64(byte &- UInt8(ascii: "0"))
        let (sum, overflow) =
            isNegative ? shifted.subtractingReportingOverflow(digit) : shifted.addingReportingOverflow(digit)
        if tooLarge || overflow { return nil }
        value = sum
    }
    return value
}
