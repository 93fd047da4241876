import Testing

@testable import HTTP

@Suite struct OriginPolicyTests {
    private let policy = OriginPolicy(allowed: ["https://app.example", "http://localhost:5173"])

    private func verdict(
        _ origin: String?, host: String? = "gateway.example", scheme: String? = nil
    ) -> OriginPolicy.Verdict {
        var headers: [(String, String)] = []
        if let origin { headers.append(("Origin", origin)) }
        if let host { headers.append(("Host", host)) }
        if let scheme { headers.append(("X-Forwarded-Proto", scheme)) }
        return policy.verdict(HTTPRequest(path: "/", headers: headers))
    }

    @Test func theListIsExact() {
        #expect(verdict(nil) == .own && verdict(nil, host: nil) == .own)
        #expect(verdict("https://app.example") == .listed("https://app.example"))
        #expect(verdict("http://localhost:5173") == .listed("http://localhost:5173"))
        for origin in [
            "http://app.example", "https://app.example:8443", "https://app.example.evil", "https://evil.app.example",
            "https://app.exampl", "https://app.example/", "null", "", "*", "https://", "file://", "http://localhost",
        ] { #expect(verdict(origin) == .refused, "\(origin)") }
    }

    @Test func theHostItselfIsNoStranger() {
        #expect(verdict("http://gateway.example") == .own && verdict("https://gateway.example") == .own)
        #expect(verdict("http://gateway.example:8080", host: "gateway.example:8080") == .own)
        #expect(verdict("http://gateway.example", host: "Gateway.Example:80") == .own)
        #expect(verdict("https://gateway.example", host: "gateway.example:443") == .own)
        #expect(verdict("https://gateway.example", scheme: "https") == .own)
        #expect(verdict("http://gateway.example", scheme: "https") == .refused)
        // A WebSocket's own schemes, as some clients and proxies name them.
        #expect(verdict("wss://gateway.example") == .own && verdict("ws://gateway.example:80") == .own)
        #expect(verdict("wss://gateway.example:443") == .own && verdict("ws://gateway.example:8080", host: "gateway.example:8080") == .own)
        for (origin, scheme) in [("https", "wss"), ("wss", "https"), ("wss", "wss"), ("http", "ws"), ("ws", "http")] {
            #expect(verdict("\(origin)://gateway.example", scheme: scheme) == .own, "\(origin) \(scheme)")
        }
        #expect(
            verdict("http://gateway.example", scheme: "wss") == .refused && verdict("ws://gateway.example", scheme: "https") == .refused)
        #expect(verdict("wss://evil.example") == .refused && verdict("wss://", host: "") == .refused)
        #expect(verdict("http://gateway.example:8080") == .refused)
        #expect(verdict("https://gateway.example", host: "gateway.example:80") == .refused)
        #expect(verdict("http://", host: "") == .refused && verdict("http://a", host: nil) == .refused)
    }

    @Test func aDemonstrationIsOpenToThePagesOfTheVisitorsOwnMachine() {
        let demo = OriginPolicy(allowed: [], takesLoopback: true)
        func verdict(_ origin: String) -> OriginPolicy.Verdict {
            demo.verdict(HTTPRequest(path: "/", headers: [("Origin", origin), ("Host", "127.0.0.1:8080")]))
        }
        for origin in ["http://localhost:5173", "http://localhost", "https://127.0.0.1:3000", "http://[::1]:8000"] {
            #expect(verdict(origin) == .listed(origin), "\(origin)")
        }
        #expect(verdict("http://127.0.0.1:8080") == .own)
        for origin in [
            "http://localhost.evil", "http://localhost:80.evil", "http://localhost:", "http://localhost:x", "http://localhost:70000",
            "http://evil/localhost", "http://127.0.0.1.evil", "null", "ftp://localhost", "http://127.0.0.10",
        ] { #expect(verdict(origin) == .refused, "\(origin)") }
        #expect(demo.headers(.own).map(\.name) == ["Vary"])
    }

    @Test func headersAndPreflight() {
        let headers = policy.headers(.listed("https://app.example"))
        #expect(headers.contains { $0 == ("Access-Control-Allow-Origin", "https://app.example") })
        #expect(headers.contains { $0 == ("Access-Control-Allow-Credentials", "true") })
        #expect(policy.headers(.own).map(\.name) == ["Vary"] && policy.headers(.refused).map(\.name) == ["Vary"])
        #expect(OriginPolicy(allowed: []).headers(.own).isEmpty)
        let request = HTTPRequest(method: "OPTIONS", path: "/")
        let answer = policy.preflight(request, .listed("https://app.example"), methods: "GET, OPTIONS")
        #expect(answer.status == 204 && answer.body.isEmpty)
        #expect(answer.headers.contains { $0 == ("Access-Control-Allow-Methods", "GET, OPTIONS") })
        #expect(
            answer.headers.contains {
                $0 == ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, Last-Event-ID")
            })
        #expect(!policy.preflight(request, .own, methods: "GET").headers.contains { $0.name.hasPrefix("Access-Control") })
    }

    /// What tracing adds to a page's requests is nobody's to know beforehand.
    @Test func aPreflightIsAnsweredWithWhatItAskedFor() {
        func allowed(_ asked: String, _ verdict: OriginPolicy.Verdict = .listed("https://app.example")) -> String? {
            let request = HTTPRequest(method: "OPTIONS", path: "/", headers: [("Access-Control-Request-Headers", asked)])
            return policy.preflight(request, verdict, methods: "GET").headers.first { $0.name == "Access-Control-Allow-Headers" }?.value
        }
        #expect(allowed("authorization,sentry-trace,traceparent, Baggage") == "authorization, sentry-trace, traceparent, baggage")
        #expect(allowed("x\r\ny, a b, {}, ok") == "ok")
        #expect(allowed("") == OriginPolicy.usualHeaders)
        #expect(allowed("baggage", .own) == nil && allowed("baggage", .refused) == nil)
    }
}
