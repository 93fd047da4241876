import Centrifuge
import Foundation
import Models
import TestSupport
import Testing

@Suite struct JSONCommandTests {
    private func decode(_ text: String) -> [Command]? { try? Codec.json.decode(Array(text.utf8).span) }

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
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        let sample = Array(#"{"id":1,"connect":{"token":"a\u0062","subs":{"inbox":{"recover":true,"epoch":"5","offset":3}}}}"#.utf8)
        for _ in 0..<20_000 {
            var bytes = sample
            for _ in 0..<Int.random(in: 1...5, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                if Bool.random(using: &random) { bytes[at] = UInt8.random(in: 0...255, using: &random) } else { bytes.remove(at: at) }
            }
            _ = try? Codec.json.decode(bytes.span)
        }
    }

    @Test(arguments: [
        (#""subscribe":{"channel":"channel:ä"}"#, ChannelCommand.subscribe(SubscribeRequest(channel: "channel:ä"))),
        (
            #""subscribe":{"channel":"c","flag":3,"join_leave":true,"recover":true,"epoch":"5","offset":3,"data":{"x":[1]}}"#,
            .subscribe(
                SubscribeRequest(
                    channel: "c", recovery: .from(StreamPosition(epoch: 5, offset: 3)), joinLeave: true,
                    rejectsUnrecovered: true))
        ),
        (
            #""subscribe":{"recover":true,"epoch":"5","channel":"c","flag":1}"#,
            .subscribe(SubscribeRequest(channel: "c", recovery: .from(StreamPosition(epoch: 5, offset: 0))))
        ),
        (#""subscribe":{"channel":"c","recover":true,"epoch":"x"}"#, .subscribe(SubscribeRequest(channel: "c", recovery: .unknown))),
        (#""subscribe":{"channel":"c","epoch":"5","offset":1}"#, .subscribe(SubscribeRequest(channel: "c"))),
        (#""unsubscribe":{"channel":"c"}"#, .unsubscribe("c")), (#""presence":{}"#, .presence("")),
        (#""presence_stats":{"channel":"c","x":null}"#, .presenceStats("c")),
        (
            #""history":{"channel":"c","limit":-1,"reverse":true,"since":{"offset":7,"epoch":"5"}}"#,
            .history(
                HistoryRequest(
                    channel: "c", limit: -1, since: .from(StreamPosition(epoch: 5, offset: 7)), isReversed: true))
        ),
        (#""history":{"channel":"c","since":null}"#, .history(HistoryRequest(channel: "c"))),
        (#""history":{"channel":"c","since":{}}"#, .history(HistoryRequest(channel: "c", since: .offset(0)))),
    ])
    func commandsAboutChannelsAreRead(_ text: String, _ expected: ChannelCommand) throws {
        #expect(try Codec.json.decode(Array("{\"id\":9,\(text)}".utf8).span) == [.channel(id: 9, expected)])
        #expect(throws: MalformedCommand.self) { try Codec.json.decode(Array("{\(text)}".utf8).span) }
    }

    @Test func callsAreRead() throws {
        func call(_ text: String) throws -> Command { try #require(try Codec.json.decode(Array(text.utf8).span).first) }
        let position = InboxSelection.upTo(StreamPosition(epoch: 7, offset: 3))
        #expect(
            try call(#"{"id":1,"rpc":{"method":"ack","data":{"epoch":"7","offset":3}}}"#)
                == .rpc(id: 1, .success(.ack(position))))
        #expect(try call(#"{"send":{"data":{"cursor":"1.7-3","method":"read"}}}"#) == .send(.success(.read(position))))
        #expect(try call(#"{"id":2,"rpc":{"data":{"size":5},"method":"window"}}"#) == .rpc(id: 2, .success(.window(5))))
        #expect(try call(#"{"id":3,"rpc":{"method":"pause"}}"#) == .rpc(id: 3, .success(.pause)))
        #expect(try call(#"{"id":3,"rpc":{"method":"dance","data":{}}}"#) == .rpc(id: 3, .failure(.methodNotFound)))
        for (method, data) in [
            ("ack", "{}"), ("ack", "[]"), ("ack", #"{"cursor":"2.x"}"#), ("read", #"{"ids":[]}"#), ("read", #"{"ids":["x"]}"#),
            ("unread", #"{"cursor":"1.7-3"}"#), ("window", #"{"size":-1}"#), ("rate", #"{"perSecond":1.5}"#), ("rate", "{}"),
        ] {
            guard case .rpc(1, .failure(let error)) = try call(#"{"id":1,"rpc":{"method":"\#(method)","data":\#(data)}}"#) else {
                Issue.record("\(method) \(data)")
                continue
            }
            #expect(error.code == 107)
        }
    }
}
