/// How urgent a notification is; each has its own lane of topics, so that a flood of offers never stands before an alert.
public enum Priority: String, CaseIterable, Sendable {
    case high, normal, low

    init?(_ bytes: Span<UInt8>, _ string: JSONString) {
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
