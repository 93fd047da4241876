/// Why a connection is closed by the gateway: the Centrifuge protocol's codes. From 3500 to 3999 SDKs do not come back.
public struct Disconnect: Hashable, Sendable {
    public let code: UInt16
    public let reason: String

    public static let noConnect = Disconnect(code: 3000, reason: "no connect command in time")
    public static let shutdown = Disconnect(code: 3001, reason: "shutdown")
    public static let serverError = Disconnect(code: 3004, reason: "temporarily unavailable")
    public static let expired = Disconnect(code: 3005, reason: "token expired")
    public static let slow = Disconnect(code: 3008, reason: "answers are not read")
    public static let historyLost = Disconnect(code: 3010, reason: "history lost")
    public static let noPong = Disconnect(code: 3012, reason: "no pong")
    public static let tooManyOperations = Disconnect(code: 3013, reason: "too many operations")
    public static let badRequest = Disconnect(code: 3501, reason: "bad request")
    public static let replaced = Disconnect(code: 3503, reason: "ticket used elsewhere")

    /// One of our own, from 4000 to 4499, where SDKs come back: the person's other connections may have gone by then.
    public static let tooManyConnections = Disconnect(code: 4001, reason: "too many connections of this person")

    /// `why` names what is wrong with the token, in words that hold nothing of it.
    public static func invalidToken(_ why: String) -> Disconnect { Disconnect(code: 3500, reason: why) }

    /// A breach of the WebSocket protocol (RFC 6455 section 7.4).
    public static func breach(_ code: UInt16, _ reason: String) -> Disconnect { Disconnect(code: code, reason: reason) }

    private init(code: UInt16, reason: String) {
        self.code = code
        self.reason = reason
    }

    /// As a control line orders it; nil for a code that is no disconnect of the protocol (3000 to 4999).
    public init?(ordered code: UInt16) {
        guard (3000...4999).contains(code) else { return nil }
        self = code == Self.replaced.code ? .replaced : Disconnect(code: code, reason: "closed by another service")
    }
}

/// Why a subscription is ended by the gateway: the Centrifuge protocol's codes. From 2500 on SDKs subscribe again.
public struct Unsubscribe: Hashable, Sendable {
    public let code: Int
    public let reason: String

    /// Its place in the stream is lost; the next subscribe says `recovered: false`.
    public static let insufficientState = Unsubscribe(code: 2500, reason: "insufficient state")
    /// The token that allowed it was replaced by one that does not; the next subscribe tells whether she still may.
    public static let expired = Unsubscribe(code: 2501, reason: "expired")
}

/// An error in a reply of the Centrifuge protocol; the connection stays.
public struct ReplyError: Hashable, Error, Sendable {
    public let code: Int
    public let message: String
    public var isTemporary = false

    public static let unavailable = ReplyError(code: 100, message: "temporarily unavailable", isTemporary: true)
    public static let unknownChannel = ReplyError(code: 102, message: "unknown channel")
    public static let permissionDenied = ReplyError(code: 103, message: "permission denied")
    public static let methodNotFound = ReplyError(code: 104, message: "method not found")
    public static let alreadySubscribed = ReplyError(code: 105, message: "already subscribed")
    public static let overLimit = ReplyError(code: 106, message: "over a limit of this server")
    public static func badRequest(_ why: String) -> ReplyError { ReplyError(code: 107, message: why) }
    public static let notAvailable = ReplyError(code: 108, message: "not available")
    public static let unrecoverable = ReplyError(code: 112, message: "unrecoverable position")

    public static func tokenExpired(secondsAgo: Int64) -> ReplyError {
        ReplyError(code: 109, message: "token expired \(secondsAgo) s ago")
    }
}
