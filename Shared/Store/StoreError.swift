internal import Redis

/// Why a call of the store has no answer. The text is for a log line and holds nothing of the call's arguments.
public enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The store did not answer, or there was no room for one more call. Nothing is wrong with the call; it may have been
    /// carried out.
    case outage(String)
    /// The store answers, and does not do this at present: it has no memory for writes, too few replicas, or is loading.
    /// Nothing is wrong with the call, and nothing was changed.
    case refusal(String)
    /// The call is at fault: what stands at its keys has another form. A repetition fails again.
    case fault(String)

    /// Nothing is wrong with the call: it may be repeated later, and blames no record (law "Nothing poisons a partition").
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
