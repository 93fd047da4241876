extension RefusalLabel {
    /// What a newcomer is told, if it can be told anything (RFC 9457).
    var problem: (status: Int, name: String, detail: String) {
        switch self {
        case .overload: (503, "overloaded", "This gateway holds as many connections as it may.")
        case .admission: (503, "overloaded", "More clients come at once than this gateway takes in a second.")
        case .address: (429, "too_many_connections", "There are too many connections from this address.")
        case .draining: (503, "unavailable", "This gateway is shutting down.")
        case .writes: (503, "unavailable", "Redis takes no writes at present: its memory is full, or replicas of it are missing.")
        case .redis, .token, .origin, .timeout, .malformed, .idle, .tls: (503, "unavailable", "This gateway cannot reach its Redis.")
        }
    }
}
