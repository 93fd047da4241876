internal import Models

/// What APNs answered, read.
struct APNsAnswer: Equatable, Sendable {
    var status: Int
    var reason: String?
    /// ms since 1970.
    var timestamp: Int64?
    /// Seconds.
    var retryAfter: Int?

    /// What to do about it ("Handling notification responses from APNs"). Every reason that Apple lists has a test; one that is unknown
    /// is judged by the status.
    var meaning: AnswerMeaning {
        switch (status, reason) {
        case (200, _): .accepted
        case (410, _): .deviceGone(since: timestamp)
        case (400, "BadDeviceToken"): .badToken
        case (400, "DeviceTokenNotForTopic"): .wrongTopic
        case (_, "IdleTimeout"), (_, "Shutdown"): .providerFailed(.unavailable, retryAfter: retryAfter)
        case (403, "ExpiredProviderToken"): .credentialsExpired
        // InvalidProviderToken, MissingProviderToken, BadCertificate, BadCertificateEnvironment, Forbidden, and what is new.
        case (401, _), (403, _): .credentialsRefused
        case (413, _): .ownFault(.tooLarge)
        case (429, "TooManyProviderTokenUpdates"): .providerFailed(.unavailable, retryAfter: retryAfter)
        case (429, _): .slowDown(retryAfter: retryAfter)
        case (503, _): .providerFailed(.unavailable, retryAfter: retryAfter)
        case (500..., _): .providerFailed(.internalError, retryAfter: retryAfter)
        // The other 400s, 404 BadPath, 405: ours to mend.
        default: .ownFault(.rejectedByProvider)
        }
    }
    var knownReason: APNsReason { reason.flatMap(APNsReason.init(rawValue:)) ?? .other }

    init(status: Int, reason: String? = nil, timestamp: Int64? = nil, retryAfter: Int? = nil) {
        self.status = status
        self.reason = reason
        self.timestamp = timestamp
        self.retryAfter = retryAfter
    }

    /// Reads `{"reason":"…","timestamp":…}`; a body of another form gives neither.
    init(status: Int, body: [UInt8], retryAfter: String? = nil) {
        self.init(status: status, retryAfter: retryAfter.flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil })
        try? read(body.span)
    }

    private mutating func read(_ bytes: Span<UInt8>) throws(JSONError) {
        var at = 0
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSON.text(bytes, name) {
            case "reason": reason = JSON.text(bytes, try JSON.string(bytes, &at))
            case "timestamp": timestamp = try JSON.integer(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
    }
}
