/// Devices that get nothing for a reason of their own, so that not every notification finds it out again. Bounded, and forgotten at a
/// restart: what an operator mended in the settings is tried again then. Pure; milliseconds since 1970.
struct SetAside {
    enum Verdict: Equatable {
        case send
        /// The provider said how long it wants no more for this device.
        case park(until: Int64)
        /// Its app has another topic than the ones we send to.
        case skip
    }

    private enum Reason {
        case resting(until: Int64)
        case wrongTopic(since: Int64)

        /// Which of two is given up first when there is no room.
        var at: Int64 {
            switch self {
            case .resting(let until): until
            case .wrongTopic(let since): since
            }
        }
    }

    let capacity: Int
    private var reasons: [String: Reason] = [:]

    init(capacity: Int = 10_000) { self.capacity = capacity }

    var count: Int { reasons.count }

    /// - Parameter registeredAt: a registration that is newer than what was found out ends it.
    mutating func verdict(on token: String, registeredAt: Int64, now: Int64) -> Verdict {
        switch reasons[token] {
        case .resting(let until) where until > now: return .park(until: until)
        case .wrongTopic(let since) where registeredAt <= since: return .skip
        case .none: return .send
        default:
            reasons[token] = nil
            return .send
        }
    }

    mutating func rest(_ token: String, until: Int64) { set(token, .resting(until: until)) }

    mutating func hasWrongTopic(_ token: String, now: Int64) { set(token, .wrongTopic(since: now)) }

    private mutating func set(_ token: String, _ reason: Reason) {
        if reasons[token] == nil, reasons.count >= capacity, let oldest = reasons.min(by: { $0.value.at < $1.value.at }) {
            reasons[oldest.key] = nil
        }
        reasons[token] = reason
    }
}
