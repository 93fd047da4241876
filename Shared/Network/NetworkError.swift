internal import CUV

/// Why a socket could not be opened, as the system says it.
public struct NetworkError: Error, Sendable, Equatable, CustomStringConvertible {
    /// libuv's code, negative (`UV_ECONNREFUSED`, say).
    public let code: Int32
    /// `listen on 0.0.0.0:8080: address already in use`, for a log line.
    public let description: String

    package init(_ doing: String, code: Int32) {
        self.code = code
        description = "\(doing): \(String(cString: uv_strerror(code)))"
    }

    public static func == (left: NetworkError, right: NetworkError) -> Bool { left.code == right.code }
}

/// How a stream ended.
public enum StreamClosure: Sendable, Equatable {
    /// The peer closed its side; nothing more can come from it.
    case peer
    /// We closed it.
    case local
    /// The connection broke, with libuv's code.
    case failed(Int32)
    /// The peer spoke no TLS, or none that can be understood or trusted.
    case tls(TLSFault)

    public var isTLSFailure: Bool {
        if case .tls = self { true } else { false }
    }

    /// A text for a log line. It holds nothing of what was sent.
    public var reason: String {
        switch self {
        case .peer: "closed by the peer"
        case .local: "closed"
        case .failed(let code): String(cString: uv_strerror(code))
        case .tls(let fault): fault.description
        }
    }
}
