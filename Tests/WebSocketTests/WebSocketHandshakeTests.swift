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
