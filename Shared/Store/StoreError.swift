internal import Redis

/// Why a call of the store failed. The text is for a log line, and holds nothing of the call's arguments.
public enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The store did not answer, or there was no room for one more call. Nothing is wrong with the call. It may have been
    /// carried out.
    case outage(String)
    /// The store answers, and cannot do this now: it has no memory for writes, or too few replicas, or it is loading.
    /// Nothing is wrong with the call, and nothing was changed.
    case refusal(String)
    /// The call is at fault: its keys hold values of another form. A repetition fails again.
    case fault(String)

    /// Whether nothing is wrong with the call. It may be repeated later, and its record is not to blame ("Nothing poisons a
    /// partition").
    public var isOutage: Bool {
        if case .fault = self { return false }
        return true
    }

    public var description: String {
        switch self {
        case .outage(let text), .refusal(let text), .fault(let text): text
        }
    }
}

extension StoreError {
    init(_ error: RedisError) {
        switch error {
        case .server where error.isOutage: self = .refusal(error.description)
        case .unexpectedReply, .server: self = .fault(error.description)
        case .unavailable, .overloaded, .disconnected, .timedOut: self = .outage(error.description)
        }
    }
}
