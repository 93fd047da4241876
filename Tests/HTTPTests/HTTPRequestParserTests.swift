import TestSupport
import Testing

@testable import HTTP

/// What a row of bytes means: the requests in it, then the error if there is one.
private struct Reading: Equatable, CustomStringConvertible {
    var requests: [String] = []
    var error: HTTPError?

    init(_ pieces: [[UInt8]], limits: HTTPLimits = HTTPLimits()) {
        var parser = HTTPRequestParser(limits: limits)
        do {
            for piece in pieces {
                var offset = 0
                while let request = try parser.next(piece.span, at: &offset) {
                    requests.append(
                        "\(request.method) \(request.path)?\(request.rawQuery) \(request.minorVersion) "
                            + String(decoding: request.body, as: UTF8.self) + " \(request.keepsAlive) "
                            + (request.header("x-test") ?? "-"))
                }
            }
        } catch {
            self.error = error
        }
    }

    init(_ text: String, limits: HTTPLimits = HTTPLimits()) { self.init([Array(text.utf8)], limits: limits) }

    var description: String { "\(requests) \(error.map { "\($0)" } ?? "")" }
}

@Suite struct HTTPRequestParserTests {
    static let samples = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /a%20b?x=1&y=%2B+z HTTP/1.1\r\nhost:a\r\nX-Test: \t v w \t\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
        "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloPOST /q HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=\"b\"\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\nGET /n HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET http://example.org:8080/abs?q HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
        "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 x\r\nabc\r\n0\r\n\r\n",
    ]

    @Test(arguments: samples) func anySplitReadsTheSame(_ sample: String) {
        let bytes = Array(sample.utf8)
        let whole = Reading([bytes])
        for split in 0...bytes.count {
            #expect(Reading([Array(bytes[..<split]), Array(bytes[split...])]) == whole, "split at \(split)")
        }
        #expect(Reading(bytes.map { [$0] }) == whole)
    }

    @Test func mutatedInputNeverTrapsAndSplitsTheSame() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        for _ in 0..<3000 {
            var bytes = Array(Self.samples.randomElement(using: &random)!.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: at)
                default: bytes.insert([0x0D, 0x0A, 0x20, 0x3A].randomElement(using: &random)!, at: at)
                }
            }
            let split = Int.random(in: 0...bytes.count, using: &random)
            #expect(
                Reading([Array(bytes[..<split]), Array(bytes[split...])]) == Reading([bytes]), "TEST_SEED=\(seed) \(bytes)")
        }
    }

    @Test func readsContentAndPipelinedRequests() {
        #expect(Reading(Self.samples[2]).requests == ["POST /p? 1 hello true -", "POST /q? 1  true -"])
        #expect(Reading(Self.samples[3]).requests == ["POST /c? 1 hello0123456789 true -", "GET /n? 1  true -"])
        #expect(Reading(Self.samples[4]).requests == ["GET /abs?q 1  true -"])
        #expect(Reading(Self.samples[1]).requests == ["GET /a%20b?x=1&y=%2B+z 1  true v w", "GET /2? 0  false -"])
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\n", 400), ("GET / HTTP/1.1 \r\n", 400), ("G@T / HTTP/1.1\r\n", 400),
        ("GET /\u{1} HTTP/1.1\r\n", 400), ("GET /é HTTP/1.1\r\n", 400), ("GET /%zz HTTP/1.1\r\n", 400),
        ("GET /%ff HTTP/1.1\r\n", 400), ("GET http:// HTTP/1.1\r\n", 400), ("GET a HTTP/1.1\r\n", 400), ("CONNECT a:80 HTTP/1.1\r\n", 400),
        ("GET / HTTP/2.0\r\n", 505), ("GET / HTTP/3.0\r\n", 505), ("GET / HTTQ/1.1\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n: a\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\u{0}b\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;\(String(repeating: "e", count: 300))\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n", 417),
        ("\r\n\r\n\r\n", 400),
    ]) func refuses(_ sample: (String, Int)) {
        let reading = Reading(sample.0)
        #expect(reading.requests.isEmpty)
        #expect(reading.error?.status == sample.1, "\(reading)")
    }

    @Test func limitsAreMetExactly() {
        var limits = HTTPLimits()
        limits.requestLine = 30
        limits.headerBytes = 40
        limits.headerCount = 3
        limits.bodyBytes = 10
        func status(_ text: String) -> Int? { Reading(text, limits: limits).error?.status }
        func line(_ count: Int) -> String { "GET /" + String(repeating: "a", count: count - 14) + " HTTP/1.1\r\n" }
        #expect(status(line(30) + "Host: a\r\n\r\n") == nil)
        #expect(status(line(31)) == 414)
        #expect(status("GET / HTTP/1.1\r\nHost: a\r\nB: " + String(repeating: "b", count: 30) + "\r\n\r\n") == nil)
        #expect(status("GET / HTTP/1.1\r\nHost: a\r\nB: " + String(repeating: "b", count: 31) + "\r\n\r\n") == 431)
        #expect(status("GET / HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c\r\n\r\n") == nil)
        #expect(status("GET / HTTP/1.1\r\nHost: a\r\nB: b\r\nC: c\r\nD: d\r\n\r\n") == 431)
        let post = "POST / HTTP/1.1\r\nHost: a\r\n"
        #expect(status(post + "Content-Length: 10\r\n\r\n0123456789") == nil)
        #expect(status(post + "Content-Length: 11\r\n\r\n") == 413)
        limits.headerBytes = 400
        #expect(status(post + "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n") == nil)
        #expect(status(post + "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n1\r\n") == 413)
    }

    @Test func expectationWaitsForContinue() throws {
        var parser = HTTPRequestParser(limits: HTTPLimits())
        let head = Array("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n".utf8)
        var offset = 0
        let early = try parser.next(head.span, at: &offset)
        #expect(early?.method == nil)
        #expect(parser.awaitsContinue)
        let rest: [UInt8] = [65, 66]
        offset = 0
        let request = try parser.next(rest.span, at: &offset)
        #expect(request?.body == rest)
        #expect(!parser.awaitsContinue)
        #expect(parser.isIdle)
    }

    @Test func queryAndSegmentsAreDecoded() {
        let request = HTTPRequest(path: "/v1/devices/a%2Fb", query: "user=a&user=b%20c+d&flag&bad=%zz")
        #expect(request.pathSegments == ["v1", "devices", "a/b"])
        #expect(request.query.map(\.value) == ["a", "b c d", "", "%zz"])
        #expect(request.query("user") == "a")
        #expect(request.query("none") == nil)
    }
}
