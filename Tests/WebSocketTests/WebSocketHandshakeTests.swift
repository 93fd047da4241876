import HTTP
import Testing

@testable import WebSocket

@Suite struct WebSocketHandshakeTests {
    private let headers = [
        ("Host", "a"), ("Upgrade", "WebSocket"), ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"),
    ]

    private func status(_ method: String = "GET", replacing name: String = "", by value: String = "") -> Int {
        let changed = headers.map { $0.0 == name ? ($0.0, value) : $0 }
        switch WebSocketHandshake.answer(HTTPRequest(method: method, path: "/", headers: changed)) {
        case .success: return 101
        case .failure(let refusal): return refusal.response.status
        }
    }

    @Test func answersTheSampleOfTheRFC() throws {
        let answer = try WebSocketHandshake.answer(HTTPRequest(path: "/", headers: headers)).get().head
        #expect(
            String(decoding: answer, as: UTF8.self).contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
    }

    @Test func refusesWhatIsNoHandshake() {
        #expect(status() == 101)
        #expect(status("POST") == 405)
        #expect(status(replacing: "Upgrade", by: "h2c") == 426)
        #expect(status(replacing: "Connection", by: "close") == 426)
        #expect(status(replacing: "Sec-WebSocket-Version", by: "8") == 426)
        #expect(status(replacing: "Sec-WebSocket-Key", by: "short") == 400)
    }

    /// A browser that offers subprotocols and is chosen none for fails without a word; so it is refused with one.
    @Test(
        arguments: [
            (nil, nil, 101), ("centrifuge-json", "centrifuge-json", 101), ("centrifuge-protobuf, centrifuge-json", "centrifuge-json", 101),
            ("centrifuge-protobuf", nil, 400), ("", nil, 101),
        ] as [(String?, String?, Int)]) func subprotocols(_ sample: (String?, String?, Int))
    {
        let offered = sample.0.map { [("Sec-WebSocket-Protocol", $0)] } ?? []
        let request = HTTPRequest(path: "/", headers: headers + offered)
        switch WebSocketHandshake.answer(request, protocols: ["centrifuge-json"]) {
        case .success(let opening):
            let head = String(decoding: opening.head, as: UTF8.self)
            #expect(sample.2 == 101 && head.hasSuffix("\r\n\r\n"))
            #expect(head.contains("Sec-WebSocket-Protocol") == (sample.1 != nil))
            if let chosen = sample.1 { #expect(head.contains("Sec-WebSocket-Protocol: \(chosen)\r\n")) }
        case .failure(let refusal):
            #expect(refusal.response.status == sample.2)
            #expect(String(decoding: refusal.response.body, as: UTF8.self).contains("spoken here: centrifuge-json"))
        }
    }

    @Test func framesOfTheServer() {
        #expect(WebSocketFrame.text([65]) == [0x81, 1, 65])
        for count in [125, 126, 65_535, 65_536] {
            let bytes = WebSocketFrame.encode(.binary, [UInt8](repeating: 0, count: count))
            #expect(bytes.count == count + WebSocketFrame.headerLength(count))
        }
        #expect(WebSocketFrame.encode(.text, [UInt8](repeating: 0, count: 126)).prefix(4) == [0x81, 126, 0, 126])
        #expect(WebSocketFrame.close(1000, reason: "é") == [0x88, 4, 0x03, 0xE8, 0xC3, 0xA9])
        #expect(WebSocketFrame.close(nil) == [0x88, 0])
        #expect(WebSocketFrame.close(1000, reason: String(repeating: "é", count: 100)).count == 2 + 2 + 122)
    }
}
