/// Which web pages may use what is served here: pages of listed origins, pages of this very host, and, while somebody tries
/// Carillon out, pages of the own machine. Pure: a request goes in, a verdict or headers come out (the Fetch standard,
/// "HTTP-CORS protocol"; RFC 6454).
public struct OriginPolicy: Sendable {
    public enum Verdict: Equatable, Sendable {
        /// The request comes from no web page, or from one of this very host.
        case own
        /// The request comes from a page of a listed origin.
        case listed(String)
        case refused
    }

    /// The fields that a page may send, if its preflight names none.
    public static let usualHeaders = "Authorization, Content-Type, If-Match, Last-Event-ID"
    /// Seconds for which a browser may remember a preflight's answer.
    public static let preflightLifetime = 600

    private let allowed: Set<String>
    private let takesLoopback: Bool

    /// - Parameters:
    ///   - allowed: `https://app.example`, with a port where it is not the scheme's own; compared letter by letter.
    ///   - takesLoopback: pages of `localhost`, `127.0.0.1` and `[::1]` count as listed, on whatever port: a page of one's own beside
    ///     a demonstration, whose secrets everybody knows anyway.
    public init(allowed: [String], takesLoopback: Bool = false) {
        self.allowed = Set(allowed)
        self.takesLoopback = takesLoopback
    }

    public func verdict(_ request: HTTPRequest) -> Verdict {
        guard let origin = request.header("origin") else { return .own }
        if allowed.contains(origin) { return .listed(origin) }
        if Self.isSame(origin, request) { return .own }
        return takesLoopback && Self.isLoopback(origin) ? .listed(origin) : .refused
    }

    private static func isLoopback(_ origin: String) -> Bool {
        for scheme in ["http://", "https://"] where origin.hasPrefix(scheme) {
            let place = origin.dropFirst(scheme.count)
            for host in ["localhost", "127.0.0.1", "[::1]"] where place.hasPrefix(host) {
                let port = place.dropFirst(host.count)
                return port.isEmpty || (port.first == ":" && UInt16(port.dropFirst()) != nil)
            }
        }
        return false
    }

    /// Whether the page is of the host that was asked. The scheme is that of the connection, or the one that a proxy names in
    /// `X-Forwarded-Proto`; no page can make its browser send that field. Some clients and proxies name the scheme of a
    /// WebSocket, `ws` or `wss`: it stands for the one whose port it shares.
    private static func isSame(_ origin: String, _ request: HTTPRequest) -> Bool {
        guard let host = request.header("host"), !host.isEmpty else { return false }
        let schemes = [("http", ":80", false), ("https", ":443", true), ("ws", ":80", false), ("wss", ":443", true)]
        guard let (scheme, standard, isSecure) = schemes.first(where: { origin.hasPrefix($0.0 + "://") }) else { return false }
        if let forwarded = request.tokens("x-forwarded-proto").first {
            guard schemes.contains(where: { $0.0 == forwarded && $0.2 == isSecure }) else { return false }
        }
        func bare(_ text: Substring) -> String {
            String(text.hasSuffix(standard) ? text.dropLast(standard.count) : text).lowercased()
        }
        return bare(origin.dropFirst(scheme.count + 3)) == bare(Substring(host))
    }

    /// The fields that every answer carries, so that the page may read it and no cache serves it to another page.
    public func headers(_ verdict: Verdict) -> [(name: String, value: String)] {
        guard case .listed(let origin) = verdict else { return allowed.isEmpty && !takesLoopback ? [] : [("Vary", "Origin")] }
        return [
            ("Vary", "Origin"), ("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", "ETag, Retry-After"),
        ]
    }

    /// The answer to OPTIONS. A preflight brings no credentials, and gets nothing else. A page of a listed origin may send any
    /// field that it asks for: nobody knows beforehand what tracing adds (`traceparent`, `baggage`), and a field alone gives no
    /// access.
    /// - Parameter methods: of the path, separated by commas.
    public func preflight(_ request: HTTPRequest, _ verdict: Verdict, methods: String) -> HTTPResponse {
        var response = HTTPResponse(status: 204, headers: [("Allow", methods), ("Cache-Control", "no-store")])
        guard case .listed = verdict else { return response }
        let asked = request.tokens("access-control-request-headers").filter { $0.utf8.allSatisfy(isTokenByte) }
        let allowed = asked.isEmpty ? Self.usualHeaders : asked.joined(separator: ", ")
        response.headers += [
            ("Access-Control-Allow-Methods", methods), ("Access-Control-Allow-Headers", allowed),
            ("Access-Control-Max-Age", String(Self.preflightLifetime)),
            ("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        return response
    }

    /// 403 for a page of another origin.
    public static let refusal = HTTPResponse.problem(
        status: 403, name: "origin_not_allowed",
        detail: "The page's origin is not listed in ALLOWED_ORIGINS, and is not this host's own.")
}
