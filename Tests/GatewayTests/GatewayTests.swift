import EventLoop
import Foundation
import Models
import Store
import TestSupport
import Testing

@testable import Gateway

/// The gateway against a real Redis, spoken to over raw sockets.
@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct GatewayTests {
    @Test func webSocketsReceiveLiveAndRecoverByPages() async throws {
        let site = try await Deployment(["PAGE_ENTRIES": "5"])
        let bob = try #require(WebSocketPeer(site.port))
        #expect(bob.status == 101)
        bob.connect(token("bob"))
        #expect(bob.read { !$0.replies.isEmpty })
        #expect(bob.inbox["recovered"] as? Bool == false && bob.inbox["recoverable"] as? Bool == true)
        let epoch = try #require(bob.inbox["epoch"] as? String)
        let delivered = try await site.feeder.deliver(["a", "b"], to: "bob")
        try await site.feeder.deliver(["c"], to: "bob")
        #expect(bob.readTitles(3) == ["a", "b", "c"])
        #expect(bob.cursors == ["1.\(epoch)-1", "1.\(epoch)-2", "1.\(epoch)-3"] && "\(delivered.epoch)" == epoch)
        bob.socket.close()
        try await until { try site.redis.cli("HLEN", "routes:{\(shard("bob"))}:bob") == "0" }
        try await site.feeder.deliver((4...20).map { "\($0)" }, to: "bob")
        let again = try #require(WebSocketPeer(site.port))
        again.connect(token("bob"), epoch: epoch, offset: 3)
        #expect(again.readTitles(17) == (4...20).map { "\($0)" })
        #expect(again.inbox["recovered"] as? Bool == true && again.inbox["offset"] as? Int == 3)
        #expect((again.inbox["publications"] as? [Any])?.count == 5)
        try await site.feeder.deliver(["live"], to: "bob")
        #expect(again.readTitles(18).last == "live")
        // From position 0, and from an epoch that never was.
        let all = try #require(WebSocketPeer(site.port))
        all.connect(token("bob"), epoch: epoch)
        #expect(all.readTitles(21).count == 21)
        let lost = try #require(WebSocketPeer(site.port))
        lost.connect(token("bob"), epoch: "12345", offset: 3)
        #expect(lost.read { !$0.replies.isEmpty })
        #expect(lost.inbox["recovered"] as? Bool == false && lost.inbox["offset"] as? Int == 21 && lost.titles.isEmpty)
        await site.stop()
    }

    @Test func badInputGetsItsCodes() async throws {
        let site = try await Deployment()
        let forged = token("bob").dropLast(3) + "AAA"
        let cases: [(String, Int)] = [
            (#"{"id":1,"connect":{"token":"\#(forged)"}}"#, 3500), (#"{"id":1,"connect":{"token":"x"}}"#, 3500),
            (#"{"id":1,"connect":{}}"#, 3500), ("rubbish", 3501), ("[]", 3501), (#"{"id":1"#, 3501),
            (#"{"id":1,"subscribe":{"channel":"a"}}"#, 3501), (#"{"connect":{"token":"x"}}"#, 3501), ("\n", 3501),
        ]
        for (text, code) in cases {
            let peer = try #require(WebSocketPeer(site.port))
            peer.send(text)
            #expect(peer.read { $0.closeCode != nil } && peer.closeCode == code, "\(text)")
        }
        let expired = try #require(WebSocketPeer(site.port))
        expired.connect(token("bob", seconds: -40))
        #expect(expired.read { $0.errorCode == 109 })
        let binary = try #require(WebSocketPeer(site.port))
        binary.frame(2, [1])
        #expect(binary.read { $0.closeCode == 3501 })
        let unmasked = try #require(WebSocketPeer(site.port))
        unmasked.socket.send([0x81, 2, 0x7B, 0x7D])
        #expect(unmasked.read { $0.closeCode == 1002 })
        let twice = try #require(WebSocketPeer(site.port))
        twice.connect(token("bob"))
        twice.send(#"{"id":2,"rpc":{"method":"x"}}"# + "\n" + #"{"id":3,"nonsense":{}}"#)
        #expect(twice.read { $0.replies.count == 3 || $0.closeCode != nil })
        await site.stop()
    }

    @Test func commandsBeyondTheSubsetAreRefusedAndTokensRefreshed() async throws {
        let site = try await Deployment()
        let bob = try #require(WebSocketPeer(site.port))
        bob.connect(token("bob"))
        #expect(bob.read { !$0.replies.isEmpty })
        bob.send(#"{"id":2,"publish":{"channel":"x","data":{}}}"# + "\n" + #"{"id":3,"nonsense":{}}"#)
        #expect(bob.read { $0.replies.count == 3 })
        let codes = bob.replies.dropFirst().map { ($0["error"] as? [String: Any])?["code"] as? Int }
        #expect(codes == [108, 104])
        let minted = EventLoop.wallClock() / 1000
        bob.send(#"{"id":4,"refresh":{"token":"\#(token("bob", seconds: 100))"}}"#)
        #expect(bob.read { $0.replies.count == 4 })
        let ttl = (bob.replies[3]["refresh"] as? [String: Any])?["ttl"] as? Int ?? 0
        let late = Int(EventLoop.wallClock() / 1000 - minted)
        #expect((75 - late...75).contains(ttl), "\(ttl), read after \(late) s")
        bob.frame(9, [1, 2])
        bob.send(#"{"id":5,"connect":{"token":"\#(token("bob"))"}}"#)
        #expect(bob.read { $0.closeCode == 3501 })
        let brief = try #require(WebSocketPeer(site.port))
        brief.connect(token("bob", seconds: 7))
        let stream = try #require(EventPeer(site.port, headers: "Authorization: Bearer \(token("ann", seconds: 7))\r\n"))
        #expect(brief.read { $0.closeCode == 3005 })
        #expect(stream.next()?.contains("connected") == true && stream.next()?.hasPrefix("retry: ") == true)
        #expect(stream.next() == nil)
        let mallory = try #require(WebSocketPeer(site.port))
        mallory.connect(token("mallory"))
        #expect(mallory.read { !$0.replies.isEmpty })
        mallory.send(#"{"id":2,"refresh":{"token":"\#(token("bob"))"}}"#)
        #expect(mallory.read { $0.closeCode == 3500 })
        await site.stop()
    }

    @Test func silenceEndsAConnection() async throws {
        // Long enough that neither who connects nor who answers is late because this machine stood still meanwhile.
        let site = try await Deployment(["PING_INTERVAL": "6s", "PONG_TIMEOUT": "5s", "HANDSHAKE_TIMEOUT": "6s"])
        let mute = try #require(WebSocketPeer(site.port))
        let silent = try #require(WebSocketPeer(site.port))
        silent.answersPings = false
        silent.connect(token("bob"))
        let lively = try #require(WebSocketPeer(site.port))
        lively.connect(token("bob"))
        // First the one that must answer; what the others are told waits in their sockets.
        #expect(lively.read { $0.pings >= 2 } && lively.closeCode == nil)
        #expect(silent.read { $0.closeCode == 3012 } && silent.pings == 1)
        #expect(mute.read { $0.closeCode == 3000 })
        await site.stop()
    }

    @Test func eventStreamsResumeByCursor() async throws {
        let site = try await Deployment(["PAGE_ENTRIES": "2"])
        let bearer = "Authorization: Bearer \(token("ann"))\r\n"
        let first = try #require(EventPeer(site.port, headers: bearer))
        #expect(first.status == 200 && first.head.contains("X-Accel-Buffering: no"))
        let greeting = try #require(first.next())
        #expect(greeting.hasPrefix("retry: ") && greeting.contains("event: connected\ndata: {\"recovered\":false,\"unread\":0}"))
        try await site.feeder.deliver(["a"], to: "ann")
        let event = try #require(first.next())
        #expect(event.hasPrefix("id: 1.") && event.contains("data: {\"id\":") && event.contains("\"a\""))
        let cursor = String(try #require(event.split(separator: "\n").first).dropFirst(4))
        first.socket.close()
        try await site.feeder.deliver(["b", "c", "d"], to: "ann")
        let second = try #require(EventPeer(site.port, query: "?last_event_id=\(cursor)", headers: bearer))
        #expect(second.next()?.contains("id: \(cursor)\nevent: connected\ndata: {\"recovered\":true,\"unread\":4}") == true)
        for title in ["b", "c", "d"] { #expect(second.next()?.contains("\"\(title)\"") == true) }
        let third = try #require(EventPeer(site.port, headers: bearer + "Last-Event-ID: 9.nonsense\r\n"))
        #expect(third.next()?.contains("{\"recovered\":false,\"unread\":4}") == true)
        let nobody = try #require(EventPeer(site.port))
        #expect(nobody.status == 401)
        await site.stop()
    }

    @Test func anEventHoldsNoLineBreak() {
        var publication = Publication(Array("{\r\n\"a\":1}".utf8))
        #expect(publication.eventStreamTail() == Array("{  \"a\":1}\n\n".utf8))
    }

    @Test func theInboxIsReadPageByPage() async throws {
        let site = try await Deployment()
        let bearer = ["Authorization": "Bearer \(token("bob"))"]
        let empty = await site.http("GET", "/v1/inbox", bearer)
        #expect(empty.status == 200 && empty.json["unread"] as? Int == 0 && empty.json["recovered"] as? Bool == true)
        try await site.feeder.deliver(["a", "b", "c"], to: "bob")
        let first = await site.http("GET", "/v1/inbox?limit=2", bearer)
        #expect(titles(first) == ["a", "b"] && first.json["unread"] as? Int == 3)
        let cursor = try #require(first.json["cursor"] as? String)
        let second = await site.http("GET", "/v1/inbox?after=\(cursor)", bearer)
        #expect(titles(second) == ["c"] && second.json["recovered"] as? Bool == true)
        let end = try #require(second.json["cursor"] as? String)
        let third = await site.http("GET", "/v1/inbox?after=\(end)", bearer)
        #expect(titles(third) == [] && third.json["cursor"] as? String == end)
        let unknown = await site.http("GET", "/v1/inbox?after=7.x", bearer)
        #expect(titles(unknown) == ["a", "b", "c"] && unknown.json["recovered"] as? Bool == false)
        let other = await site.http("GET", "/v1/inbox?after=1.5-2", bearer)
        #expect(titles(other) == ["a", "b", "c"] && other.json["recovered"] as? Bool == false)
        for query in ["limit=0", "limit=1001", "limit=x"] {
            #expect(await site.http("GET", "/v1/inbox?\(query)", bearer).status == 400)
        }
        #expect(await site.http("GET", "/v1/inbox").body.contains("#token_invalid"))
        let expired = await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(token("bob", seconds: -40))"])
        #expect(expired.status == 401 && expired.body.contains("#token_expired") && expired.body.contains("expired 4"))
        #expect(await site.http("PUT", "/v1/inbox", bearer).status == 405)
        #expect(await site.http("GET", "/v1/nothing").body.contains("#not_found"))
        // Counted as every other service's REST, and for the gateway who was not let in.
        #expect(await site.metric(#"carillon_rest_requests_total{method="GET",route="/v1/inbox",status="4xx"}"#) == 5)
        #expect(await site.metric(#"carillon_rest_requests_total{method="GET",route="none",status="4xx"}"#) == 1)
        #expect(await site.metric(#"carillon_gateway_refusals_total{reason="token"}"#) == 2)
        await site.stop()
    }
}

func titles(_ answer: Answer) -> [String] {
    (answer.json["notifications"] as? [[String: Any]])?.compactMap { $0["title"] as? String } ?? []
}

func shard(_ person: String) -> Int { PersonID(person).map { Models.shard(of: $0, shards: 64) } ?? -1 }
