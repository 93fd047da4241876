import Foundation
import TestSupport
import Testing

@testable import Gateway

@Suite(.blocking) struct OriginTests {
    private static let listed = "https://app.example"

    @Test func onlyListedPagesComeIn() async throws {
        let site = try await Deployment(["ALLOWED_ORIGINS": Self.listed])
        let bearer = "Bearer \(token("bob"))"
        for path in ["/connection/sse", "/connection/poll", "/connection/websocket", "/v1/connect", "/v1/inbox", "/v1/nothing"] {
            let answer = await site.http("GET", path, ["Origin": "https://evil.example", "Authorization": bearer])
            #expect(answer.status == 403 && answer.body.contains("#origin_not_allowed"))
            #expect(!answer.head.contains("Access-Control"))
        }
        for origin in ["https://evil.example", "null", "https://app.example.evil"] {
            #expect(WebSocketPeer(site.port, headers: "Origin: \(origin)\r\n")?.status == 403)
            #expect(EventPeer(site.port, headers: "Origin: \(origin)\r\nAuthorization: \(bearer)\r\n")?.status == 403)
        }
        for headers in [
            "", "Origin: \(Self.listed)\r\n", "Origin: http://x\r\n", "Origin: wss://x\r\nX-Forwarded-Proto: wss\r\n",
        ] {
            let bob = try #require(WebSocketPeer(site.port, headers: headers))
            #expect(bob.status == 101)
            bob.connect(token("bob"))
            #expect(bob.read { !$0.replies.isEmpty } && !bob.inbox.isEmpty)
            let stream = try #require(EventPeer(site.port, headers: headers + "Authorization: \(bearer)\r\n"))
            #expect(stream.status == 200 && stream.next()?.contains("connected") == true)
            #expect(stream.head.contains("Access-Control-Allow-Origin: \(Self.listed)\r\n") == headers.contains(Self.listed))
            #expect(stream.head.contains("Vary: Origin\r\n"))
        }
        #expect(await site.metric(#"carillon_gateway_refusals_total{reason="origin"}"#) == 12)
        #expect(await site.metric(#"carillon_refused_credentials_total{cause="origin"}"#) == 12)
        #expect(site.log.all.contains { $0.contains("cause=origin") } && !site.log.all.contains { $0.contains("evil") })
        await site.stop()
    }

    /// A preflight brings no credentials and is answered whatever else there is; refusals can be read by the page.
    @Test func preflightAndAnswers() async throws {
        let site = try await Deployment(["ALLOWED_ORIGINS": "http://localhost:5173,\(Self.listed)"])
        for (path, method) in [
            ("/connection/websocket", "GET"), ("/connection/sse", "GET"), ("/connection/poll", "GET"), ("/v1/connect", "POST"),
            ("/v1/inbox", "GET"),
        ] {
            let answer = await site.http(
                "OPTIONS", path,
                [
                    "Origin": Self.listed, "Access-Control-Request-Method": method,
                    "Access-Control-Request-Headers": "authorization,last-event-id,sentry-trace,traceparent,baggage",
                ])
            #expect(answer.status == 204, "\(path)")
            for line in [
                "Access-Control-Allow-Origin: \(Self.listed)", "Access-Control-Allow-Credentials: true",
                "Access-Control-Allow-Headers: authorization, last-event-id, sentry-trace, traceparent, baggage", "Vary: Origin",
                "Access-Control-Max-Age: 600",
            ] { #expect((answer.head + "\r\n").contains(line + "\r\n"), "\(path): \(line)") }
            let methods = answer.head.split(separator: "\r\n").first { $0.hasPrefix("Access-Control-Allow-Methods: ") } ?? ""
            #expect(methods.contains(method) && methods.hasSuffix("OPTIONS"))
            #expect(await site.http("OPTIONS", path, ["Origin": "https://evil.example"]).status == 403)
        }
        let refused = await site.http("GET", "/v1/inbox", ["Origin": Self.listed, "Authorization": "Bearer x"])
        #expect(refused.status == 401 && refused.head.contains("Access-Control-Allow-Origin: \(Self.listed)"))
        site.redis.stop()
        try await until { await site.http("GET", "/connection/sse", ["Origin": Self.listed]).body.hasPrefix("retry: ") }
        let later = await site.http("GET", "/connection/sse", ["Origin": Self.listed])
        #expect(later.status == 200 && later.head.contains("Access-Control-Allow-Origin: \(Self.listed)"))
        #expect(await site.http("OPTIONS", "/v1/inbox", ["Origin": Self.listed]).status == 204)
        await site.stop()
    }

    /// Each refusal says what was wrong, to the client and in one line of the log, and nothing of the token.
    @Test func refusalsNameTheirCause() async throws {
        let site = try await Deployment(["TOKEN_AUDIENCE": "carillon"], authorised: false)
        let stranger = token("bob")
        let before = site.log.count("cause=audience")
        let answer = await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(stranger)"])
        #expect(answer.status == 401 && answer.body.contains("The token's aud does not hold the expected one."))
        let peer = try #require(WebSocketPeer(site.port))
        peer.connect(stranger)
        #expect(peer.read { $0.closeCode == 3500 } && peer.closeReason == "the token's aud does not hold the expected one")
        #expect(site.log.count("cause=audience") == before + 2)
        #expect(site.log.count("reason=\"the token's aud does not hold the expected one\"") == before + 2)
        #expect(!site.log.all.contains { $0.contains(stranger) || $0.contains("bob") })
        await site.stop()
    }

    @Test func howLongAgoItExpired() async throws {
        let site = try await Deployment()
        let old = token("bob", seconds: -40)
        let answer = await site.http("GET", "/connection/sse", ["Authorization": "Bearer \(old)"])
        #expect(answer.status == 401 && answer.body.contains("#token_expired") && answer.body.contains("The token expired 4"))
        let peer = try #require(WebSocketPeer(site.port))
        peer.connect(old)
        #expect(peer.read { $0.errorCode == 109 })
        #expect(((peer.replies.last?["error"] as? [String: Any])?["message"] as? String)?.hasPrefix("token expired 4") == true)
        #expect(site.log.count("cause=expired reason=\"the token expired 4") == 2)
        await site.stop()
    }
}
