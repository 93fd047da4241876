import Tokens

/// Why a connection is closed by the gateway: the Centrifuge protocol's codes. From 3500 to 3999 SDKs do not come back.
struct Disconnect: Hashable {
    let code: UInt16
    let reason: String

    static let noConnect = Disconnect(code: 3000, reason: "no connect command in time")
    static let shutdown = Disconnect(code: 3001, reason: "shutdown")
    static let serverError = Disconnect(code: 3004, reason: "temporarily unavailable")
    static let expired = Disconnect(code: 3005, reason: "token expired")
    static let slow = Disconnect(code: 3008, reason: "answers are not read")
    static let historyLost = Disconnect(code: 3010, reason: "history lost")
    static let noPong = Disconnect(code: 3012, reason: "no pong")
    static let tooManyOperations = Disconnect(code: 3013, reason: "too many operations")
    /// By a logout, here or elsewhere.
    static let revoked = Disconnect(code: 3500, reason: TokenFault.revoked.rawValue)
    static let badRequest = Disconnect(code: 3501, reason: "bad request")
    static let replaced = Disconnect(code: 3503, reason: "ticket used elsewhere")

    /// One of our own, from 4000 to 4499, where SDKs come back: the person's other connections may have gone by then.
    static let tooManyConnections = Disconnect(code: 4001, reason: "too many connections of this person")

    /// `why` names what is wrong with the token, in words that hold nothing of it.
    static func invalidToken(_ why: String) -> Disconnect { Disconnect(code: 3500, reason: why) }

    /// A breach of the WebSocket protocol (RFC 6455 section 7.4).
    static func breach(_ code: UInt16, _ reason: String) -> Disconnect { Disconnect(code: code, reason: reason) }
}

extension Disconnect {
    /// As a control line orders it; nil for a code that is no disconnect of the protocol (3000 to 4999).
    init?(ordered code: UInt16) {
        guard (3000...4999).contains(code) else { return nil }
        self = code == Self.replaced.code ? .replaced : Disconnect(code: code, reason: "closed by another service")
    }
}

/// An error in a reply of the Centrifuge protocol; the connection stays.
struct ReplyError: Hashable, Error {
    let code: Int
    let message: String
    var isTemporary = false

    static let unavailable = ReplyError(code: 100, message: "temporarily unavailable", isTemporary: true)
    static let overLimit = ReplyError(code: 106, message: "over a limit of this server")
    static func badRequest(_ why: String) -> ReplyError { ReplyError(code: 107, message: why) }
    static let methodNotFound = ReplyError(code: 104, message: "method not found")
    static let notAvailable = ReplyError(code: 108, message: "not available")

    static func tokenExpired(secondsAgo: Int64) -> ReplyError {
        ReplyError(code: 109, message: "token expired \(secondsAgo) s ago")
    }
}
