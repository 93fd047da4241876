/// What a client sent, once it is complete (RFC 6455).
public enum WebSocketEvent: Sendable, Equatable {
    /// A text message, all fragments together; valid UTF-8.
    case text([UInt8])
    case binary([UInt8])
    /// A compressed message (RFC 7692), all fragments together, for `MessageDeflate.open`; only where that was negotiated.
    case compressed([UInt8], isText: Bool)
    case ping([UInt8])
    case pong([UInt8])
    /// `code` is nil if the frame was empty (1005). Nothing may follow it.
    case close(code: UInt16?)
}

/// A breach of RFC 6455; the connection is closed with `code`.
public struct WebSocketViolation: Error, Hashable, Sendable {
    /// 1002, 1007 or 1009 (section 7.4.1).
    public let code: UInt16
    /// The reason for the close frame. It is short and holds nothing of what was sent.
    public let reason: String

    static func breach(_ reason: String) -> WebSocketViolation { WebSocketViolation(code: 1002, reason: reason) }
    static let invalidText = WebSocketViolation(code: 1007, reason: "text is not UTF-8")
    static let invalidDeflate = WebSocketViolation(code: 1007, reason: "the compressed data is broken")
    static let tooBig = WebSocketViolation(code: 1009, reason: "message too big")
}
