import Testing

@testable import HTTP

@Suite struct HTTPResponseTests {
    private func head(_ response: HTTPResponse, keepsAlive: Bool = true) -> String {
        String(decoding: response.encodedHead(date: "D", keepsAlive: keepsAlive), as: UTF8.self)
    }

    @Test func encodesStatusFieldsAndLength() {
        #expect(
            head(.json("{}")) == "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: application/json\r\n"
                + "Cache-Control: no-store\r\nContent-Length: 2\r\n\r\n")
        #expect(head(HTTPResponse(status: 204)) == "HTTP/1.1 204 No Content\r\nDate: D\r\n\r\n")
        #expect(head(HTTPResponse(status: 404), keepsAlive: false).contains("Connection: close\r\n"))
    }

    @Test func aFieldCannotBeginAnotherLine() {
        let response = HTTPResponse(status: 200, headers: [("X", "a\r\nSet-Cookie: b\u{0}")])
        #expect(head(response).contains("X: a  Set-Cookie: b \r\n"))
    }

    @Test func problemDocumentsNameTheirType() {
        let problem = HTTPResponse.problem(status: 401, name: "token_expired", detail: "It \"expired\"\n40 s ago.\u{1}")
        #expect(
            String(decoding: problem.body, as: UTF8.self)
                == ##"{"type":"/problems#token_expired","title":"Unauthorized","status":401,"##
                + ##""detail":"It \"expired\"\n40 s ago.\u0001"}"##)
        #expect(problem.headers.contains { $0 == ("Content-Type", "application/problem+json") })
    }

    @Test(arguments: [
        ("a.example:8080", "", false, "http://a.example:8080"), ("a.example", "", true, "https://a.example"),
        ("a.example", "https", false, "https://a.example"), ("a.example", "wss, http", false, "https://a.example"),
        ("a.example", "http", true, "http://a.example"), ("[::1]:80", "", false, "http://[::1]:80"), ("", "", false, ""),
        ("a\"><script>", "", false, ""), ("user@a.example", "", false, ""), ("a.example/b", "", false, ""),
    ]) func anOriginIsWhatTheClientAsked(_ host: String, _ forwarded: String, _ isTLS: Bool, _ origin: String) {
        let request = HTTPRequest(path: "/", headers: [("Host", host)] + (forwarded.isEmpty ? [] : [("X-Forwarded-Proto", forwarded)]))
        #expect(request.fields.origin(isTLS: isTLS) == origin)
        #expect(HTTPRequest(path: "/").fields.origin(isTLS: isTLS) == "")
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (1_795_262_400, "Sat, 21 Nov 2026 12:00:00 GMT"),
    ]) func formatsDates(_ sample: (Int64, String)) {
        #expect(HTTPDate.format(sample.0) == sample.1)
    }

    @Test func percentCodingRoundTrips() {
        #expect(PercentCoding.encode("a/b é|~") == "a%2Fb%20%C3%A9%7C~")
        #expect(PercentCoding.decode(Array("a%2Fb%20%C3%A9".utf8)) == "a/b é")
        #expect(PercentCoding.decode(Array("%2".utf8)) == nil)
    }
}
