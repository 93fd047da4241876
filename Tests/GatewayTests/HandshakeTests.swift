import Foundation
import Store
import TestSupport
import Testing

@testable import Gateway

/// What clients that others wrote say when they come.
@Suite(.blocking, .serialized, .timeLimit(.minutes(5))) struct HandshakeTests {
    @Test func eventStreamsAreResumedUnderEitherName() async throws {
        let site = try await Deployment()
        let bearer = "Authorization: Bearer \(token("bob"))\r\n"
        let delivered = try await site.feeder.deliver(["a", "b"], to: "bob")
        for name in ["last_event_id", "lastEventId"] {
            let stream = try #require(EventPeer(site.port, query: "?\(name)=1.\(delivered.epoch)-1", headers: bearer))
            #expect(stream.status == 200 && stream.next()?.contains(#""recovered":true"#) == true)
            #expect(stream.next()?.contains(#""title":"b""#) == true)
        }
        // An SDK's own transport is told what this is.
        let answer = await site.http("GET", "/connection/sse?cf_connect=%7B%7D", ["Authorization": "Bearer \(token("bob"))"])
        #expect(answer.status == 400 && answer.body.contains("#plain_event_source") && answer.body.contains("plain EventSource"))
        await site.stop()
    }

    /// The client's order counts.
    @Test(arguments: [
        ("other, centrifuge-json, centrifuge-protobuf", "centrifuge-json"), ("centrifuge-protobuf, centrifuge-json", "centrifuge-protobuf"),
        ("centrifuge-protobuf", "centrifuge-protobuf"),
    ]) func aCodecIsAgreedOn(_ offered: String, _ agreed: String) async throws {
        let site = try await Deployment()
        let bob = try #require(WebSocketPeer(site.port, headers: "Sec-WebSocket-Protocol: \(offered)\r\n"))
        #expect(bob.status == 101 && bob.head.contains("Sec-WebSocket-Protocol: \(agreed)\r\n"))
        let other = try #require(WebSocketPeer(site.port, headers: "Sec-WebSocket-Protocol: other\r\n"))
        #expect(other.status == 400)
        await site.stop()
    }

    @Test func aHistoryOfAnyEpochIsThatOfThePresentOne() async throws {
        let site = try await Deployment()
        let ann = try #require(WebSocketPeer(site.port))
        ann.connect(channelToken("ann", ["\u{301}room"]))
        ann.subscribe(2, "\u{301}room")
        #expect(ann.subscribed(2)["epoch"] != nil)
        try await site.feeder.post(["a", "b", "c"], to: "\u{301}room")
        #expect(ann.readPosts(3) == ["a 1", "b 2", "c 3"])
        ann.send(#"{"id":3,"history":{"channel":"channel:\#("\u{301}room")","limit":9,"since":{"offset":1,"epoch":""}}}"#)
        #expect(titles(ann.reply(3)["history"] as? [String: Any] ?? [:]) == ["b", "c"])
        await site.stop()
    }
}
