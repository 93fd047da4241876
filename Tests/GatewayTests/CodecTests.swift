import Foundation
import HTTP
import Models
import Settings
import Testing
import WebSocket

@testable import Gateway

@Suite struct CodecTests {
    private func decode(_ text: String) -> [Command]? { try? Command.decode(Array(text.utf8).span) }

    @Test func commandsAreReadLineByLine() {
        #expect(decode("{}\n\n{ }\r\n") == [.pong, .pong])
        #expect(
            decode(#"{"id":1,"connect":{"token":"a\u0062","name":"js","data":{"x":[1]},"subs":{"other":{"recover":true}}}}"#)
                == [.connect(id: 1, ConnectRequest(token: "ab", name: "js"))])
        #expect(decode(#"{"refresh":{"token":"t"},"id":7}"#) == [.refresh(id: 7, token: "t")])
        #expect(
            decode(#"{"send":{"data":{}}}"# + "\n" + #"{"id":2,"publish":{}}"#) == [.send(.failure(.methodNotFound)), .unserved(id: 2)])
        #expect(decode(#"{"id":3,"something_else_altogether":1}"#) == [.unknown(id: 3)])
    }

    /// Whatever a member is called: with null for a value the command means what it means without it.
    @Test func nullMeansAbsent() throws {
        let samples = [
            #"{"id":1,"connect":{"token":"t","name":"js","data":{},"subs":{"inbox":{"recover":true,"epoch":"5","offset":3}}}}"#,
            #"{"id":1,"refresh":{"token":"t"}}"#, #"{"id":1,"rpc":{"method":"ack","data":{"epoch":"5","offset":3}}}"#,
            #"{"id":1,"rpc":{"method":"window","data":{"size":3}}}"#, #"{"send":{"data":{"method":"pause","size":3}}}"#,
            #"{"id":1,"subscribe":{"channel":"channel:a","recover":true,"epoch":"5","offset":3,"flag":2,"join_leave":true}}"#,
            #"{"id":1,"unsubscribe":{"channel":"channel:a"}}"#, #"{"id":1,"presence":{"channel":"channel:a"}}"#,
            #"{"id":1,"presence_stats":{"channel":"channel:a"}}"#,
            #"{"id":1,"history":{"channel":"channel:a","limit":3,"reverse":true,"since":{"epoch":"5","offset":3}}}"#,
        ]
        for sample in samples {
            let object = try JSONSerialization.jsonObject(with: Data(sample.utf8))
            for (without, null) in Self.variants(of: object) {
                let (one, other) = (Self.text(without), Self.text(null))
                #expect(decode(one) == decode(other), "\(other)")
            }
        }
    }

    /// For each member at any depth: the value without it, and with null in its place.
    private static func variants(of value: Any) -> [(without: Any, null: Any)] {
        guard let object = value as? [String: Any] else { return [] }
        return object.flatMap { name, member -> [(without: Any, null: Any)] in
            var (without, null) = (object, object)
            without[name] = nil
            null[name] = NSNull()
            return [(without, null)]
                + variants(of: member).map { inner in
                    var (one, other) = (object, object)
                    one[name] = inner.without
                    other[name] = inner.null
                    return (one, other)
                }
        }
    }

    private static func text(_ object: Any) -> String {
        String(decoding: (try? JSONSerialization.data(withJSONObject: object)) ?? Data(), as: UTF8.self)
    }

    @Test(arguments: [
        (#"{"offset":3,"epoch":""}"#, HistoryRequest.Since.offset(3)), (#"{"offset":3}"#, .offset(3)), ("{}", .offset(0)),
        (#"{"offset":3,"epoch":"5"}"#, .from(StreamPosition(epoch: 5, offset: 3))), (#"{"offset":3,"epoch":"x"}"#, .unknown),
        (#"{"offset":-3,"epoch":""}"#, .unknown),
    ]) func anEpochThatAHistoryDoesNotNameMayBeAny(_ sample: (String, HistoryRequest.Since)) {
        let commands = decode(#"{"id":1,"history":{"channel":"channel:a","since":\#(sample.0)}}"#)
        #expect(commands == [.channel(id: 1, .history(HistoryRequest(channel: "channel:a", since: sample.1)))])
    }

    /// To `String` a colon and a combining mark, a joiner or a skin tone behind it are one character.
    @Test(arguments: ["\u{301}x", "\u{200D}", "\u{1F3FD}", "\u{FE0F}a", "x", "e\u{301}"])
    func channelsAreTakenApartByBytes(_ id: String) throws {
        let channel = try #require(ChannelID(subscribed: "channel:" + id))
        #expect(Array(channel.text.utf8) == Array(id.utf8))
    }

    @Test func whatIsNoChannel() {
        for text in ["channel:", "channel", "Channel:a", "inbox", "", "channel\u{301}:a"] { #expect(ChannelID(subscribed: text) == nil) }
    }

    @Test func idsInUpperCaseAreTheSame() {
        let id = "0b1c2d3e-4f5a-8b6c-9d7e-8f90a1b2c3d4"
        func call(_ id: String) -> [Command]? { decode(#"{"id":1,"rpc":{"method":"read","data":{"ids":["\#(id)"]}}}"#) }
        #expect(call(id.uppercased()) == call(id))
        #expect(call(id) != call("x"))
    }

    @Test(arguments: [
        (#"{"recover":true,"epoch":"5","offset":3}"#, ConnectRequest.Recovery.from(StreamPosition(epoch: 5, offset: 3))),
        (#"{"recover":true,"epoch":"5"}"#, .from(StreamPosition(epoch: 5, offset: 0))),
        (#"{"epoch":"5","offset":3}"#, .none), (#"{"recover":false,"epoch":"5"}"#, .none),
        (#"{"recover":true,"epoch":"_","offset":0}"#, .unknown), (#"{"recover":true}"#, .unknown),
        // An offset alone is a place in any epoch: what was lost between two of them would look recovered.
        (#"{"recover":true,"epoch":"","offset":3}"#, .unknown), (#"{"recover":true,"offset":3}"#, .unknown),
        (#"{"recover":true,"epoch":"5","offset":-1}"#, .unknown),
    ]) func positionsAreReadAsSDKsSendThem(_ sample: (String, ConnectRequest.Recovery)) {
        let commands = decode(#"{"id":1,"connect":{"subs":{"inbox":\#(sample.0)}}}"#)
        #expect(commands == [.connect(id: 1, ConnectRequest(token: "", recovery: sample.1))])
    }

    @Test(arguments: [
        "", "\n", "x", "[]", "1", "{", #"{"id":1,"connect":[]}"#, #"{"id":-1,"connect":{}}"#, #"{"connect":{}}"#,
        #"{"id":1,"connect":{"token":7}}"#, #"{"id":99999999999999999999,"rpc":{}}"#, "{}\nx", #"{"id":1,"rpc":{}}{}"#,
    ]) func whatIsNoCommandIsRefused(_ text: String) { #expect(decode(text) == nil) }

    @Test func mutilatedCommandsNeverTrap() {
        let seed = UInt64.random(in: .min ... .max)
        print("seed \(seed)")
        var random = SplitMix(state: seed)
        let sample = Array(#"{"id":1,"connect":{"token":"a\u0062","subs":{"inbox":{"recover":true,"epoch":"5","offset":3}}}}"#.utf8)
        for _ in 0..<20_000 {
            var bytes = sample
            for _ in 0..<Int.random(in: 1...5, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                if Bool.random(using: &random) { bytes[at] = UInt8.random(in: 0...255, using: &random) } else { bytes.remove(at: at) }
            }
            _ = try? Command.decode(bytes.span)
        }
    }

    @Test func aPushIsOneFrameOfTheRightLength() throws {
        var random = SplitMix(state: 7)
        for size in [2, 60, 120, 300, 70_000] {
            for _ in 0..<20 {
                let position = StreamPosition(
                    epoch: UInt64.random(in: 1...UInt64.max >> Int.random(in: 0...63, using: &random), using: &random),
                    offset: UInt64.random(in: 0...UInt64.max >> Int.random(in: 0...63, using: &random), using: &random))
                var publication = Publication(Array("\"\(String(repeating: "x", count: size))\"".utf8))
                let tail = publication.webSocketTail()
                let frame = Replies.pushHead(position, tailLength: tail.count) + tail
                let length = frame.count < 128 ? 2 : frame.count < 65_540 ? 4 : 10
                #expect(frame.prefix(length).elementsEqual(WebSocketFrame.text(frame.dropFirst(length)).prefix(length)))
                let push = try JSONSerialization.jsonObject(with: Data(frame.dropFirst(length))) as? [String: Any]
                let inner = (push?["push"] as? [String: Any])?["pub"] as? [String: Any]
                #expect((inner?["tags"] as? [String: String])?["cursor"] == "1.\(position)")
                #expect((inner?["offset"] as? NSNumber)?.uint64Value == position.offset)
            }
        }
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
            if walk.inFlight > 0 { walk.ended() }
            visit()
        }
        #expect(visited == [0, 1, 2, 0, 1, 2] && !walk.isWalking)
        walk.start()
        let empty = walk.step(extent: 0)
        #expect(empty == .rest && !walk.isWalking)
    }
}
