public import Models
public import ServiceRuntime

/// What an answer of APNs means for the device and for the record ("Handling notification responses from APNs").
public enum Treatment: Equatable, Sendable {
    /// Apple has it.
    case accepted
    /// The device is gone since then (ms since 1970): a registration that is newer stays. Without a time nothing is known.
    case unregistered(since: Int64?)
    /// No such token, or one of the other environment. It is left out for a while and deleted if it is still wrong then.
    case quarantine
    /// The provider token is too old: once, a new one is made and the request repeated.
    case renewProviderToken
    /// Apple refuses our credentials: nothing is sent any more until that is mended. Says nothing about record or device.
    case stopSending
    /// Too much for this one device: later, counted against the record.
    case slowDown
    /// Apple is not well: later. Whether it counts against the record follows from how the others fare.
    case retry(FailureKind)
    /// It will never be taken.
    case deadLetter(DeadLetterReason)
}

/// How the provider failed.
public enum FailureKind: Equatable, Sendable {
    /// No connection can be made.
    case unreachable
    /// The connection broke, or no answer came in time.
    case interrupted
    /// It says itself that it cannot serve at present.
    case unavailable
    /// It failed over this request, as it says.
    case internalError
}

/// What to do about an answer. Every reason that Apple lists has a test.
/// - Parameters:
///   - reason: of the answer's body; one that is unknown is judged by the status.
///   - timestamp: of the body, ms since 1970.
public func treatment(of status: Int, reason: String?, timestamp: Int64? = nil) -> Treatment {
    switch (status, reason) {
    case (200, _): .accepted
    case (410, _): .unregistered(since: timestamp)
    case (400, "BadDeviceToken"): .quarantine
    case (_, "IdleTimeout"), (_, "Shutdown"): .retry(.unavailable)
    case (403, "ExpiredProviderToken"): .renewProviderToken
    // InvalidProviderToken, MissingProviderToken, BadCertificate, BadCertificateEnvironment, Forbidden, and what is new.
    case (401, _), (403, _): .stopSending
    case (413, _): .deadLetter(.tooLarge)
    case (429, "TooManyProviderTokenUpdates"): .retry(.unavailable)
    case (429, _): .slowDown
    case (503, _): .retry(.unavailable)
    case (500..., _): .retry(.internalError)
    // The other 400s (DeviceTokenNotForTopic among them, which keeps its device and sets it aside), 404 BadPath, 405: ours to mend.
    default: .deadLetter(.rejectedByProvider)
    }
}

/// The reasons that Apple documents: what may stand in a log line or a dead letter's detail.
public enum APNsReason: String, MetricLabel {
    case badCollapseId = "BadCollapseId"
    case badDeviceToken = "BadDeviceToken"
    case badExpirationDate = "BadExpirationDate"
    case badMessageId = "BadMessageId"
    case badPriority = "BadPriority"
    case badTopic = "BadTopic"
    case deviceTokenNotForTopic = "DeviceTokenNotForTopic"
    case duplicateHeaders = "DuplicateHeaders"
    case idleTimeout = "IdleTimeout"
    case invalidPushType = "InvalidPushType"
    case missingDeviceToken = "MissingDeviceToken"
    case missingTopic = "MissingTopic"
    case payloadEmpty = "PayloadEmpty"
    case topicDisallowed = "TopicDisallowed"
    case badCertificate = "BadCertificate"
    case badCertificateEnvironment = "BadCertificateEnvironment"
    case badEnvironmentKeyIdInToken = "BadEnvironmentKeyIdInToken"
    case badEnvironmentKeyInToken = "BadEnvironmentKeyInToken"
    case expiredProviderToken = "ExpiredProviderToken"
    case forbidden = "Forbidden"
    case invalidProviderToken = "InvalidProviderToken"
    case missingProviderToken = "MissingProviderToken"
    case unrelatedKeyIdInToken = "UnrelatedKeyIdInToken"
    case badPath = "BadPath"
    case methodNotAllowed = "MethodNotAllowed"
    case expiredToken = "ExpiredToken"
    case unregistered = "Unregistered"
    case payloadTooLarge = "PayloadTooLarge"
    case tooManyProviderTokenUpdates = "TooManyProviderTokenUpdates"
    case tooManyRequests = "TooManyRequests"
    case internalServerError = "InternalServerError"
    case serviceUnavailable = "ServiceUnavailable"
    case shutdown = "Shutdown"
    case other = "other"
}

/// What APNs answered, read.
public struct APNsAnswer: Equatable, Sendable {
    public var status: Int
    public var reason: String?
    /// ms since 1970.
    public var timestamp: Int64?
    /// Seconds.
    public var retryAfter: Int?

    public var meaning: Treatment { treatment(of: status, reason: reason, timestamp: timestamp) }
    public var knownReason: APNsReason { reason.flatMap(APNsReason.init(rawValue:)) ?? .other }

    public init(status: Int, reason: String? = nil, timestamp: Int64? = nil, retryAfter: Int? = nil) {
        self.status = status
        self.reason = reason
        self.timestamp = timestamp
        self.retryAfter = retryAfter
    }

    /// Reads `{"reason":"…","timestamp":…}`; a body of another form gives neither.
    public init(status: Int, body: [UInt8], retryAfter: String? = nil) {
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
