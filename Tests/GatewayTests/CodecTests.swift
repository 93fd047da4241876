import Centrifuge
import Foundation
import HTTP
import Models
import Settings
import TestSupport
import Testing
import WebSocket

@testable import Gateway

@Suite struct CodecTests {
    @Test func aPushIsOneFrameOfTheRightLength() throws {
        var random = SeededGenerator(seed: 7)
        for size in [2, 60, 120, 300, 70_000] {
            for _ in 0..<20 {
                let position = StreamPosition(
                    epoch: UInt64.random(in: 1...UInt64.max >> Int.random(in: 0...63, using: &random), using: &random),
                    offset: UInt64.random(in: 0...UInt64.max >> Int.random(in: 0...63, using: &random), using: &random))
                let codec = Codec.allCases.randomElement(using: &random)!
                var publication = Publication(Array("\"\(String(repeating: "x", count: size))\"".utf8))
                let tail = publication.tail(codec)
                let length = publication.notification.count
                let head = codec.publicationHead(position, notificationLength: length, tailLength: tail.count)
                let frame = head + tail
                let header = frame.count < 128 ? 2 : frame.count < 65_540 ? 4 : 10
                #expect(frame.prefix(header).elementsEqual(codec.frame(Array(frame.dropFirst(header))).prefix(header)))
                guard codec == .json else { continue }
                let push = try JSONSerialization.jsonObject(with: Data(frame.dropFirst(header))) as? [String: Any]
                let inner = (push?["push"] as? [String: Any])?["pub"] as? [String: Any]
                #expect((inner?["tags"] as? [String: String])?["cursor"] == "1.\(position)")
                #expect((inner?["offset"] as? NSNumber)?.uint64Value == position.offset)
            }
        }
    }

    @Test func whatIsSharedIsMadeOnceForEachCodec() {
        var values = PerCodec<String?>()
        var made: [Codec] = []
        for codec in [Codec.protobuf, .json, .json, .protobuf] {
            let value = values.value(codec) {
                made.append(codec)
                return codec == .json ? "json" : nil
            }
            #expect(value == (codec == .json ? "json" : nil))
        }
        #expect(made == [.protobuf, .json])
    }

    @Test func nothingInANotificationEndsALineOfItsEvent() {
        for evil in ["\n", "\r", "\r\n", "\0", "\n\ndata: x\n\n", "\nid: 1.9-9\r\rretry: 0\n"] {
            var publication = Publication(Array("{\"a\":\(evil)1}".utf8))
            let event = EventStream.eventHead(StreamPosition(epoch: 7, offset: 3), nil) + publication.eventStreamTail()
            let text = String(decoding: event, as: UTF8.self)
            #expect(text.hasPrefix("id: 1.7-3\ndata: {\"a\":") && text.hasSuffix("1}\n\n"))
            #expect(!event.contains(0x0D) && !event.contains(0) && event.count { $0 == 0x0A } == 3)
        }
    }

    @Test func ticketURLsNameTheHostThatWasAsked() throws {
        let ann = try #require(PersonID("ann"))
        func urls(_ headers: [(String, String)], _ base: String? = nil) throws -> [String: Any] {
            let url = base.flatMap { ServiceURL($0, ports: ["http": 80, "https": 443]) }
            let json = TicketURLs(HTTPRequest(path: "/v1/connect", headers: headers), url, "T", ann).json()
            return try #require(try JSONSerialization.jsonObject(with: Data(json)) as? [String: Any])
        }
        let plain = try urls([("Host", "a.example:8080")])
        #expect(plain["ticket"] as? String == "T")
        #expect((plain["sse"] as? String)?.hasPrefix("http://a.example:8080/connection/sse?ticket=T&u=") == true)
        let secure = try urls([("Host", "a.example"), ("X-Forwarded-Proto", "https")])
        #expect((secure["websocket"] as? String)?.hasPrefix("wss://a.example/connection/websocket?") == true)
        let named = try urls([("Host", "evil\"")], "https://push.example/base/")
        #expect((named["websocket"] as? String)?.hasPrefix("wss://push.example/base/connection/websocket?") == true)
    }

    @Test func aWalkKeepsToItsWindowAndStartsAgain() {
        var walk = Walk(window: 2)
        #expect(walk.step(extent: 3) == .rest)
        walk.start()
        var visited: [UInt32] = []
        func visit() { if case .visit(let index) = walk.step(extent: 3) { visited.append(index); walk.began() } }
        for _ in 0..<5 { visit() }
        #expect(visited == [0, 1] && walk.inFlight == 2)
        walk.start()
        for _ in 0..<10 {
            if walk.inFlight > 0 { walk.readEnded() }
            visit()
        }
        #expect(visited == [0, 1, 2, 0, 1, 2] && !walk.isWalking)
        walk.start()
        let empty = walk.step(extent: 0)
        #expect(empty == .rest && !walk.isWalking)
    }
}
