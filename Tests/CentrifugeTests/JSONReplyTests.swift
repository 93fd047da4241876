import Centrifuge
import Models
import Testing

/// Replies and pushes, byte by byte as the JSON form has them.
@Suite struct JSONReplyTests {
    private static let room = ChannelID("ä room")!
    private static let place = StreamPosition(epoch: 5, offset: 3)
    private static let stored = [StoredPublication(offset: 4, data: bytes(#"{"a":1}"#)), StoredPublication(offset: 5, data: bytes("{}"))]

    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    private static func result(recovered: Bool, _ entries: [StoredPublication]) -> SubscribeResult {
        SubscribeResult(position: place, wasRecovering: recovered, recovered: recovered, publications: entries)
    }

    @Test(arguments: [
        (Reply.error(.unavailable), #"{"id":7,"error":{"code":100,"message":"temporarily unavailable","temporary":true}}"#),
        (.error(.badRequest("a \"b\"")), #"{"id":7,"error":{"code":107,"message":"a \"b\""}}"#),
        (
            .refresh(RefreshResult(client: "c", version: "v", ttl: 9)),
            #"{"id":7,"refresh":{"client":"c","version":"v","expires":true,"ttl":9}}"#
        ),
        (
            .connect(
                ConnectResult(client: "c", version: "v", ttl: 9, ping: 25, data: bytes("{}"), inbox: result(recovered: true, stored))),
            #"{"id":7,"connect":{"client":"c","version":"v","expires":true,"ttl":9,"ping":25,"data":{},"pong":true,"#
                + #""subs":{"inbox":{"recoverable":true,"positioned":true,"epoch":"5","offset":3,"was_recovering":true,"#
                + #""recovered":true,"publications":[{"offset":4,"tags":{"cursor":"1.5-4"},"data":{"a":1}},"#
                + #"{"offset":5,"tags":{"cursor":"1.5-5"},"data":{}}]}}}}"#
        ),
        (
            .subscribe(result(recovered: false, [])),
            #"{"id":7,"subscribe":{"recoverable":true,"positioned":true,"epoch":"5","offset":3,"recovered":false}}"#
        ),
        (
            .subscribe(result(recovered: true, stored)),
            #"{"id":7,"subscribe":{"recoverable":true,"positioned":true,"epoch":"5","offset":3,"was_recovering":true,"#
                + #""recovered":true,"publications":[{"offset":4,"data":{"a":1}},{"offset":5,"data":{}}]}}"#
        ),
        (.unsubscribe, #"{"id":7,"unsubscribe":{}}"#),
        (.history(place, []), #"{"id":7,"history":{"epoch":"5","offset":3,"publications":[]}}"#),
        (
            .presence([Reply.Watching(connection: "g#1.2.3", info: bytes(#"{"user":"u"}"#))]),
            #"{"id":7,"presence":{"presence":{"g#1.2.3":{"user":"u"}}}}"#
        ),
        (.presenceStats(clients: 3, people: 2), #"{"id":7,"presence_stats":{"num_clients":3,"num_users":2}}"#),
        (.rpc(bytes(#"{"unread":1}"#)), #"{"id":7,"rpc":{"data":{"unread":1}}}"#),
    ]) func replies(_ reply: Reply, _ expected: String) {
        #expect(String(decoding: Codec.json.encode(reply, to: 7), as: UTF8.self) == expected)
    }

    @Test(arguments: [
        (Push.message(bytes("{}")), #"{"push":{"message":{"data":{}}}}"#),
        (
            .inbox(place),
            #"{"push":{"channel":"inbox","subscribe":{"recoverable":true,"positioned":true,"epoch":"5","offset":3}}}"#
        ),
        (.post(room, 8, bytes("x{}x")[1..<3]), #"{"push":{"channel":"channel:ä room","pub":{"offset":8,"data":{}}}}"#),
        (.join(room, bytes("{}")[...]), #"{"push":{"channel":"channel:ä room","join":{"info":{}}}}"#),
        (.leave(room, bytes("{}")[...]), #"{"push":{"channel":"channel:ä room","leave":{"info":{}}}}"#),
        (
            .unsubscribe(room, .insufficientState),
            #"{"push":{"channel":"channel:ä room","unsubscribe":{"code":2500,"reason":"insufficient state"}}}"#
        ),
    ]) func pushes(_ push: Push, _ expected: String) {
        #expect(String(decoding: Codec.json.encode(push), as: UTF8.self) == expected)
        let both = Codec.json.encode(.unsubscribe, to: 1, then: push)
        #expect(String(decoding: both, as: UTF8.self) == #"{"id":1,"unsubscribe":{}}"# + "\n" + expected)
    }

    @Test func whatOthersAreShownIsOneLine() {
        let info = ClientInfo(user: "a\"b", client: "c", connectionInfo: Self.bytes("{\n\"x\": 1\r\n}"))
        #expect(String(decoding: info.json, as: UTF8.self) == #"{"user":"a\"b","client":"c","conn_info":{"x": 1}}"#)
        #expect(ClientInfo(user: "", client: "c", connectionInfo: nil).json == Self.bytes(#"{"user":"","client":"c"}"#))
    }
}
