/// What one request may cost before it is refused. Each limit has its own status, so that a client learns which one it met.
public struct HTTPLimits: Sendable {
    /// Bytes of the request line, without CRLF; more is 414.
    public var requestLine = 8 * 1024
    /// Bytes of all field lines together, trailers included; more is 431.
    public var headerBytes = 32 * 1024
    /// Field lines, trailers included; more is 431.
    public var headerCount = 100
    /// Bytes of the content after its transfer coding; more is 413.
    public var bodyBytes = 1024 * 1024
    /// Bytes of one chunk-size line with its extensions; more is 400.
    public var chunkLine = 256
    /// From a request's first byte to its end; a slower one gets 408.
    public var requestDeadline: Duration = .seconds(10)
    /// How long a connection may stay without a request.
    public var idleDeadline: Duration = .seconds(75)

    public init() {}
}

/// A request that the parser refuses. Nothing behind it on the same connection can be understood.
public struct HTTPError: Error, Hashable, Sendable {
    /// 400, 413, 414, 417, 431, 501 or 505.
    public var status: Int
    /// The problem document's name, for instance `request_line_too_long`.
    public var name: String
    /// One sentence for the client, free of anything that it sent.
    public var detail: String

    public init(status: Int, name: String, detail: String) {
        self.status = status
        self.name = name
        self.detail = detail
    }

    static func malformed(_ detail: String) -> HTTPError {
        HTTPError(status: 400, name: "malformed_request", detail: detail)
    }
}
