import Foundation
import Store
import TestSupport
import Testing
import WebSocket

@testable import Gateway

/// A WebSocket client that has agreed on permessage-deflate, on a raw socket.
private final class DeflatePeer {
    struct Frame {
        var isCompressed: Bool
        var opcode: UInt8
        /// As it lay in the frame.
        var payload: [UInt8]
        var length: Int { payload.count }
    }

    let socket: RawSocket
    let head: String
    private let deflate: MessageDeflate

    init?(_ port: Int, offer: String = "permessage-deflate; client_max_window_bits") {
        guard let socket = RawSocket(port: port), let deflate = MessageDeflate() else { return nil }
        self.socket = socket
        self.deflate = deflate
        socket.send(
            "GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Extensions: \(offer)\r\n\r\n")
        head = socket.take(through: "\r\n\r\n") ?? ""
    }

    func send(_ payload: [UInt8], isCompressed: Bool) {
        var bytes: [UInt8] = [isCompressed ? 0xC1 : 0x81]
        if payload.count < 126 {
            bytes.append(0x80 | UInt8(payload.count))
        } else {
            bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        }
        let mask: [UInt8] = [9, 8, 7, 6]
        socket.send(bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] })
    }

    /// Sends text compressed, if it is shorter so.
    func send(_ text: String) {
        let plain = Array(text.utf8)
        let compressed = deflate.compress(plain)
        send(compressed ?? plain, isCompressed: compressed != nil)
    }

    /// The next frame; not a ping of the Centrifuge protocol, which may come between any two after the connect.
    func read() -> Frame? {
        while let frame = next() {
            if frame.isCompressed || frame.opcode != 1 || frame.payload != Array("{}".utf8) { return frame }
        }
        return nil
    }

    private func next() -> Frame? {
        guard let start = socket.take(2) else { return nil }
        var length = Int(start[1] & 0x7F)
        if length >= 126 {
            guard let more = socket.take(length == 126 ? 2 : 8) else { return nil }
            length = more.reduce(0) { $0 << 8 | Int($1) }
        }
        guard let payload = socket.take(length) else { return nil }
        return Frame(isCompressed: start[0] & 0x40 != 0, opcode: start[0] & 0x0F, payload: payload)
    }

    func json(_ frame: Frame) throws -> [String: Any] {
        var text = frame.payload
        if frame.isCompressed, case .text(let inflated) = try deflate.open(text, isText: true, limit: 1 << 20) { text = inflated }
        return (try JSONSerialization.jsonObject(with: Data(text))) as? [String: Any] ?? [:]
    }

    func compress(_ bytes: [UInt8]) -> [UInt8]? { deflate.compress(bytes) }
}

private func publication(_ message: [String: Any]) -> (title: String?, cursor: String?) {
    let pub = (message["push"] as? [String: Any])?["pub"] as? [String: Any]
    return (
        (pub?["data"] as? [String: Any])?["title"] as? String, (pub?["tags"] as? [String: Any])?["cursor"] as? String
    )
}

@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct DeflateTests {
    private let long = String(repeating: "long and long ", count: 60)

    @Test func compressionIsOffUnlessAskedFor() async throws {
        let site = try await Deployment()
        let peer = try #require(DeflatePeer(site.port))
        #expect(peer.head.hasPrefix("HTTP/1.1 101") && !peer.head.contains("Sec-WebSocket-Extensions"))
        peer.send([0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], isCompressed: true)
        let close = try #require(peer.read())
        #expect(close.opcode == 8 && close.payload.prefix(2) == [0x03, 0xEA], "1002")
        await site.stop()
    }

    @Test func whatIsLongIsCompressedBothWays() async throws {
        let site = try await Deployment(["WEBSOCKET_DEFLATE": "true"])
        let peers = try ["bob", "bob"].map { _ in try #require(DeflatePeer(site.port)) }
        let plain = try #require(WebSocketPeer(site.port))
        plain.connect(token("bob"))
        #expect(plain.read { !$0.replies.isEmpty })
        for peer in peers {
            #expect(
                peer.head.contains(
                    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"))
            peer.send(#"{"id":1,"connect":{"token":"\#(token("bob"))","data":{"filling":"\#(long)"}}}"#)
            let reply = try #require(peer.read())
            #expect(try peer.json(reply)["connect"] != nil)
        }
        let delivered = try await site.feeder.deliver([long, "short"], to: "bob")
        for peer in peers {
            let first = try #require(peer.read())
            #expect(first.isCompressed && first.opcode == 1 && first.length < 300)
            let (title, cursor) = publication(try peer.json(first))
            #expect(title == long && cursor == "1.\(delivered.epoch)-1")
            let second = try #require(peer.read())
            #expect(try !second.isCompressed && publication(peer.json(second)).title == "short")
        }
        #expect(plain.readTitles(2) == [long, "short"], "who has not agreed on it gets it as it is")
        // A page in the reply to a connect.
        let again = try #require(DeflatePeer(site.port, offer: "permessage-deflate; server_max_window_bits=12"))
        #expect(again.head.contains("; server_max_window_bits=12\r\n"))
        let subs = #""subs":{"inbox":{"recover":true,"epoch":"\#(delivered.epoch)","offset":0}}"#
        again.send(#"{"id":1,"connect":{"token":"\#(token("bob"))",\#(subs)}}"#)
        let page = try #require(again.read())
        #expect(page.isCompressed)
        let connect = try again.json(page)["connect"] as? [String: Any]
        let inbox = (connect?["subs"] as? [String: Any])?["inbox"] as? [String: Any]
        #expect((inbox?["publications"] as? [Any])?.count == 2)
        await site.stop()
    }

    @Test func aBombIsRefused() async throws {
        let site = try await Deployment(["WEBSOCKET_DEFLATE": "true", "CLIENT_MESSAGE_MAX_BYTES": "64KB"])
        let peer = try #require(DeflatePeer(site.port))
        let bomb = try #require(peer.compress([UInt8](repeating: 0x20, count: 8_000_000)))
        #expect(bomb.count < 65_536)
        peer.send(bomb, isCompressed: true)
        let close = try #require(peer.read())
        #expect(close.opcode == 8 && close.payload.prefix(2) == [0x03, 0xF1], "1009")
        let broken = try #require(DeflatePeer(site.port))
        broken.send([0xFF, 0xFF], isCompressed: true)
        #expect(try #require(broken.read()).payload.prefix(2) == [0x03, 0xEF], "1007")
        await site.stop()
    }
}
