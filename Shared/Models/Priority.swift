/// How urgent a notification is. Each priority has its own lane of topics, so that a flood of offers never stands before an
/// alert.
public enum Priority: String, CaseIterable, Sendable {
    case high, normal, low

    /// Its number in a gateway's lines: 0 is the most urgent.
    public var level: Int {
        switch self {
        case .high: 0
        case .normal: 1
        case .low: 2
        }
    }

    /// Nil for a number that is not a priority's.
    public init?(level: Int64) {
        switch level {
        case 0: self = .high
        case 1: self = .normal
        case 2: self = .low
        default: return nil
        }
    }

    public init?(_ bytes: Span<UInt8>, _ string: JSONString) {
        switch JSONKey(bytes, string) {
        case .high: self = .high
        case .normal: self = .normal
        case .low: self = .low
        default: return nil
        }
    }
}

extension JSONKey {
    static let high = JSONKey("high")
    static let normal = JSONKey("normal")
    static let low = JSONKey("low")
}
