/// One request. Header names are written in lower case, as HTTP/2 has them.
public struct HTTPClientRequest: Sendable {
    public var method: String
    public var url: String
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]
    /// From `send` to the last byte of the answer, waiting for a connection included.
    public var timeout: Duration

    public init(
        method: String = "GET", url: String, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        timeout: Duration = .seconds(10)
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
    }
}

/// One answer, whole.
public struct HTTPClientResponse: Sendable {
    public let status: Int
    public let headers: [(name: String, value: String)]
    public let body: [UInt8]

    /// The first header of that name, whatever its case.
    public func header(_ name: String) -> String? {
        let name = name.lowercased()
        return headers.first { $0.name == name }?.value
    }

    public init(status: Int, headers: [(name: String, value: String)], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Why there is no answer. Descriptions hold nothing of the request or of what the server sent.
public enum HTTPClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The deadline passed; whether the server acted on the request is unknown.
    case timedOut
    /// No connection could be made.
    case unreachable(String)
    /// The connection could not be made secure: no trust in the certificate, no common version.
    case insecure(String)
    /// The connection broke; whether the server acted on the request is unknown.
    case disconnected(String)
    /// The answer is larger than `maximumAnswer`.
    case answerTooLarge
    /// As many requests as `maximumInFlight` are under way.
    case overloaded
    /// The request itself cannot be sent: a malformed URL, a header with a line break.
    case invalidRequest(String)
    /// `close` was called.
    case closed

    public var description: String {
        switch self {
        case .timedOut: "no answer in time"
        case .unreachable(let why), .insecure(let why), .disconnected(let why), .invalidRequest(let why): why
        case .answerTooLarge: "the answer is too large"
        case .overloaded: "too many requests are under way"
        case .closed: "the client was closed"
        }
    }
}

/// How a client behaves; the defaults suit a push provider.
public struct HTTPClientConfiguration: Sendable {
    /// The CAs that are trusted instead of the system's, a PEM file.
    public var caFile: String?
    /// HTTP/2 where TLS agrees on it (never over plain text: curl 7.88 breaks its reuse), or HTTP/1.1 only.
    public var http2 = true
    /// Connections to one host at the same time, beside those on which a request had no answer in time: they take no new ones.
    public var maximumConnections = 2
    /// Requests on one HTTP/2 connection at the same time, if the server allows as many.
    public var maximumStreams = 500
    /// Requests under way, those that wait for a stream included; `send` beyond it answers `overloaded`.
    public var maximumInFlight = 2000
    /// Bytes of an answer's body.
    public var maximumAnswer = 1 << 20
    /// For the TCP and TLS handshakes together.
    public var connectTimeout: Duration = .seconds(5)
    /// How long the server's machine may acknowledge nothing, neither data nor the probes of an idle connection: the connection is
    /// then broken (`TCP_USER_TIMEOUT`, keepalive).
    public var silence: Duration = .seconds(10)

    public init() {}
}
