import Foundation
import Models
import TestSupport
import Testing

@testable import Centrifuge

private let room = ChannelID("ä room")!
private let place = StreamPosition(epoch: 5, offset: 3)
private let stored = [StoredPublication(offset: 4, data: bytes(#"{"a":1}"#)), StoredPublication(offset: 5, data: bytes("{}"))]
private let shown = ClientInfo(user: "a\"b", client: "c", connectionInfo: bytes(#"{"x": 1}"#))

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
private func result(_ recovered: Bool, _ entries: [StoredPublication]) -> SubscribeResult {
    SubscribeResult(position: place, wasRecovering: recovered, recovered: recovered, publications: entries)
}
private func asked(_ since: HistoryRequest.Since, limit: Int64 = 0) -> [Command] {
    [.channel(id: 6, .history(HistoryRequest(channel: "channel:ä room", limit: limit, since: since)))]
}

/// Frames that Google's Protobuf has made (Tests/Conformance/golden.py), by their names.
private let golden: [String: [UInt8]] = {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Conformance/golden.txt")
    let lines = (try? String(contentsOf: file, encoding: .utf8))?.split(separator: "\n") ?? []
    let pairs = lines.map { $0.split(separator: "\t") }.filter { $0.count == 2 }
    return Dictionary(uniqueKeysWithValues: pairs.map { (String($0[0]), hexadecimal($0[1])) })
}()

private func hexadecimal(_ text: Substring) -> [UInt8] {
    let digits = text.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

@Suite struct ProtobufTests {
    private static let commands: [(String, [Command])] = [
        ("pong", [.pong]), ("pongs and a refresh", [.pong, .refresh(id: 7, token: "t"), .pong]),
        (
            "connect",
            [
                .connect(
                    id: 1,
                    ConnectRequest(
                        token: "täken", name: "java", recovery: .from(StreamPosition(epoch: 5, offset: 1 << 63 | 3))))
            ]
        ),
        ("connect without anything", [.connect(id: UInt64(UInt32.max), ConnectRequest())]),
        ("connect that knows no epoch", [.connect(id: 1, ConnectRequest(recovery: .unknown))]),
        ("connect that recovers nothing", [.connect(id: 1, ConnectRequest())]),
        (
            "subscribe",
            [
                .channel(
                    id: 2,
                    .subscribe(
                        SubscribeRequest(
                            channel: "channel:ä room", recovery: .from(place), joinLeave: true, rejectsUnrecovered: true)))
            ]
        ),
        ("unsubscribe", [.channel(id: 3, .unsubscribe("channel:ä room"))]),
        ("presence", [.channel(id: 4, .presence("channel:ä room"))]),
        ("presence stats", [.channel(id: 5, .presenceStats("channel:ä room"))]),
        (
            "history",
            [
                .channel(
                    id: 6,
                    .history(
                        HistoryRequest(
                            channel: "channel:ä room", limit: -1, since: .from(StreamPosition(epoch: 5, offset: 7)),
                            isReversed: true)))
            ]
        ),
        ("history from the start", asked(.none, limit: 3)), ("history since any epoch", asked(.offset(7))),
        ("history since the first", asked(.offset(0))),
        ("rpc", [.rpc(id: 8, .success(.ack(.upTo(StreamPosition(epoch: 7, offset: 3)))))]),
        ("rpc without data", [.rpc(id: 8, .success(.pause))]),
        ("rpc of another method", [.rpc(id: 8, .failure(.methodNotFound))]),
        ("rpc with broken data", [.rpc(id: 8, .failure(.badRequest("something stands behind the data")))]),
        ("send", [.send(.success(.read(.upTo(StreamPosition(epoch: 7, offset: 3)))))]),
        ("unserved", [.unserved(id: 1), .unserved(id: 2), .unserved(id: 3)]),
    ]

    @Test func commandsOfAnotherEncoderAreRead() throws {
        for (name, expected) in Self.commands {
            let frame = try #require(golden[name], "\(name)")
            #expect(try Codec.protobuf.decode(frame.span) == expected, "\(name)")
            #expect(faultOfProtobufCommands(frame) == nil, "\(name)")
        }
    }

    @Test(arguments: [
        ("reply error", Reply.error(.unavailable)),
        ("reply refresh", .refresh(RefreshResult(client: "c", version: "v", ttl: 9))),
        (
            "reply connect",
            .connect(ConnectResult(client: "c", version: "v", ttl: 9, ping: 25, data: bytes("{}"), inbox: result(true, stored)))
        ),
        ("reply subscribe", .subscribe(result(false, []))), ("reply subscribe that recovered", .subscribe(result(true, stored))),
        ("reply unsubscribe", .unsubscribe), ("reply history", .history(place, stored)),
        ("reply presence", .presence([Reply.Watching(connection: "g#1.2.3", info: shown.json)])),
        ("reply presence stats", .presenceStats(clients: 3, people: 2)), ("reply rpc", .rpc(bytes(#"{"unread":1}"#))),
    ]) func repliesAreThoseOfAnotherEncoder(_ name: String, _ reply: Reply) throws {
        #expect(Codec.protobuf.encode(reply, to: 7) == golden[name])
    }

    @Test(arguments: [
        ("push message", Push.message(bytes("{}"))), ("push inbox", .inbox(place)),
        ("push post", .post(room, 8, bytes(String(repeating: "{}", count: 200))[...])), ("push join", .join(room, shown.json[...])),
        ("push leave", .leave(room, shown.json[...])), ("push unsubscribe", .unsubscribe(room, .insufficientState)),
    ]) func pushesAreThoseOfAnotherEncoder(_ name: String, _ push: Push) throws {
        let expected = try #require(golden[name])
        #expect(Codec.protobuf.encode(push) == expected)
        #expect(Codec.protobuf.encode(.unsubscribe, to: 7, then: push) == (golden["reply unsubscribe"] ?? []) + expected)
    }

    /// What another version wrote of a watcher, or nobody did, costs its own part alone.
    @Test(arguments: ["", "x", #"{"user":7}"#, #"{"client":"c","user":"#, "[]"]) func aWatcherThatCannotBeReadIsShownEmpty(_ json: String) {
        #expect(ClientInfo(json: bytes(json).span).user.isEmpty)
    }

    @Test(arguments: [
        // Nothing; a length that is cut short, beyond the frame, of eleven bytes, over 64 bits.
        "", "80", "02", "0808", "8080808080808080808001", "ffffffffffffffffff02",
        // In a message: a field without a value, a group, wire types 6 and 7, field 0, a tag over 32 bits.
        "0108", "020b0c", "020e00", "020f00", "020000", "06888080808010",
        // A length inside that leaves its message; a fixed width that is cut short; a token that is not UTF-8.
        "03220401", "030d0000", "0508017202ff",
        // An unfinished varint at the end of the message, though the frame goes on.
        "020880" + "00",
        // No id: a connect, and an unknown field.
        "022200", "03a00601",
        // A good one, and a broken one behind it.
        "00" + "03220401",
    ]) func whatIsNoCommandIsRefused(_ hex: String) {
        #expect(throws: MalformedCommand.self) { try Codec.protobuf.decode(hexadecimal(hex[...]).span) }
    }

    @Test func unknownFieldsOfEveryWireTypeAreSteppedOver() throws {
        // id 7; then fields 100 to 103 as varint, fixed64, bytes that would be a broken message, and fixed32; then `rpc` of another
        // wire type than its own, which is unknown too.
        let unknown = "a006ffffffffffffffffff01" + "a9060102030405060708" + "b20603ffffff" + "bd0601020304" + "6801"
        let message = "0807" + unknown + "72030a0174"
        let frame = [UInt8(message.count / 2)] + hexadecimal(message[...])
        #expect(try Codec.protobuf.decode(frame.span) == [.refresh(id: 7, token: "t")])
    }

    @Test func noMoreThanTheLimitIsRead() throws {
        let pongs = [UInt8](repeating: 0, count: 1_000)
        #expect(try Codec.protobuf.decode(pongs.span, limit: 7).count == 7)
        #expect(try Codec.json.decode(Array(String(repeating: "{}\n", count: 1_000).utf8).span, limit: 7).count == 7)
    }

    @Test func mutilatedFramesNeverTrap() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        let samples = Self.commands.compactMap { golden[$0.0] }
        for _ in 0..<20_000 {
            var bytes = samples.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 1...5, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: at)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
                }
            }
            let fault = faultOfProtobufCommands(bytes)
            #expect(fault == nil, "\(bytes): \(fault ?? "")")
        }
    }

    // MARK: One notification

    /// Head and tail are one reply with the lengths that they say, whatever the size, and hold the notification as it came.
    @Test func aPublicationIsOneReply() throws {
        var random = SeededGenerator(seed: 7)
        for size in [0, 2, 60, 100, 127, 128, 300, 16_300, 70_000] {
            for _ in 0..<20 {
                let position = StreamPosition(
                    epoch: UInt64.random(in: 1...UInt64.max >> Int.random(in: 0...63, using: &random), using: &random),
                    offset: UInt64.random(in: 1...UInt64.max >> Int.random(in: 0...63, using: &random), using: &random))
                let notification = [UInt8](repeating: 0x20, count: size)
                var head: [UInt8] = []
                let publication = InboxPublication(.protobuf, at: position, notificationLength: size)
                publication.appendHead(to: &head)
                #expect(publication.headLength == head.count)
                let reply = try only(head + InboxPublication.tail(.protobuf, notification[...]))
                let push = try #require(try fields(reply)[4]?.first)
                #expect(try fields(push)[2] == [bytes("inbox")])
                let pub = try fields(try #require(try fields(push)[4]?.first))
                #expect(pub[4] == [notification] && pub[6] == [bytes("\(position.offset)")])
                let tag = try fields(try #require(pub[7]?.first))
                #expect(tag[1] == [bytes("cursor")] && tag[2] == [bytes("\(Cursor(position))")])
            }
        }
    }

    /// The one message of a frame.
    private func only(_ frame: [UInt8]) throws -> [UInt8] {
        var at = 0
        let range = try Protobuf.delimited(frame.span, &at)
        #expect(at == frame.count)
        return Array(frame[range])
    }

    /// The values of a message's fields: their bytes, or a number's digits.
    private func fields(_ message: [UInt8]) throws -> [UInt32: [[UInt8]]] {
        var found: [UInt32: [[UInt8]]] = [:]
        var at = 0
        while let (number, value) = try Protobuf.field(message.span, &at) {
            switch value {
            case .varint(let value): found[number, default: []].append(bytes("\(value)"))
            case .bytes(let range): found[number, default: []].append(Array(message[range]))
            case .fixed: Issue.record("a fixed width")
            }
        }
        return found
    }
}
