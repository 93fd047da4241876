import EventLoop
import Foundation
import Models
import Store
import TestSupport
import Testing

@testable import Gateway

/// What a person has read shows on all of her devices; windows, rates and pauses lose nothing and show nothing twice.
@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct MarksTests {
    private func connected(_ site: Deployment, _ person: String, name: String? = nil) throws -> WebSocketPeer {
        let peer = try #require(WebSocketPeer(site.port))
        let its = name.map { #","name":"\#($0)""# } ?? ""
        peer.send(#"{"id":1,"connect":{"token":"\#(token(person))"\#(its)}}"#)
        #expect(peer.read { !$0.replies.isEmpty })
        return peer
    }

    private func ids(_ site: Deployment, _ person: String) async -> [String] {
        let answer = await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(token(person))"])
        return (answer.json["notifications"] as? [[String: Any]])?.compactMap { $0["id"] as? String } ?? []
    }

    @Test func readingOnOneDeviceShowsOnAllTransports() async throws {
        let site = try await Deployment()
        let phone = try connected(site, "bob")
        let laptop = try connected(site, "bob")
        let stream = try #require(EventPeer(site.port, headers: "Authorization: Bearer \(token("bob"))\r\n"))
        #expect(stream.next()?.contains("connected") == true)
        try await site.feeder.deliver(["a", "b", "c", "d"], to: "bob")
        #expect(phone.readTitles(4).count == 4 && laptop.readTitles(4).count == 4)
        for _ in 1...4 { #expect(stream.next()?.hasPrefix("id: ") == true) }
        let ids = await ids(site, "bob")

        let answer = try #require(phone.call("read", #"{"ids":["\#(ids[1])","\#(ids[2])"]}"#))
        #expect(Counts(answer) == Counts(2, 1))
        #expect(laptop.read { $0.reads == [Counts(2, 1)] })
        #expect(stream.next() == "event: read\ndata: {\"unread\":2,\"revision\":1}\n\n")

        let cursor = phone.cursors[3]
        let bearer = ["Authorization": "Bearer \(token("bob"))"]
        let read = await site.http("POST", "/v1/inbox/read", bearer, body: #"{"cursor":"\#(cursor)"}"#)
        #expect(read.status == 200 && read.body == #"{"unread":0,"revision":2}"#)
        #expect(laptop.read { $0.reads.count == 2 } && phone.read { $0.reads == [Counts(0, 2)] })
        #expect(stream.next()?.contains(#"{"unread":0,"revision":2}"#) == true)

        laptop.send(#"{"send":{"data":{"method":"unread","ids":["\#(ids[0])"]}}}"#)
        #expect(laptop.read { $0.reads.last == Counts(1, 3) } && phone.read { $0.reads.last == Counts(1, 3) })
        #expect(Counts(try #require(phone.call("archive", #"{"ids":["\#(ids[0])"]}"#))) == Counts(0, 4))
        #expect(laptop.read { $0.reads.last == Counts(0, 4) })
        #expect(await self.ids(site, "bob").count == 3)
        // Of a newcomer's connect reply it is the data.
        let newcomer = try connected(site, "bob")
        let connect = newcomer.replies.first?["connect"] as? [String: Any]
        #expect(Counts(connect?["data"] as? [String: Any] ?? [:]) == Counts(0, 4))
        await site.stop()
    }

    /// A batch with a control line that is published and not heard: the next number tells, and the walk brings the count.
    @Test func aLostCountIsNoticed() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        try await site.feeder.deliver(["a", "b"], to: "bob")
        #expect(bob.readTitles(2).count == 2)
        try await site.feeder.read("bob")
        let lease = try site.redis.cli("HKEYS", "gateways")
        try site.redis.cli("INCR", "gateway:{\(lease)}:sequence")
        #expect(bob.read { $0.reads == [Counts(0, 1)] })
        #expect(await site.metric("carillon_gateway_gaps_total") >= 1)
        #expect(bob.titles == ["a", "b"])
        await site.stop()
    }

    @Test func badCallsGetTheirCodes() async throws {
        let site = try await Deployment(["CALL_MAX_IDS": "2", "WINDOW_MAX": "10", "RATE_MAX": "20", "CLIENT_MESSAGE_MAX_BYTES": "1KB"])
        let bob = try connected(site, "bob")
        let id = "00000000-0000-8000-8000-000000000001"
        for (method, data, code) in [
            ("dance", "{}", 104), ("read", "{}", 107), ("read", #"{"ids":["\#(id)","\#(id)","\#(id)"]}"#, 106),
            ("window", #"{"size":11}"#, 106), ("rate", #"{"perSecond":21}"#, 106), ("ack", #"{"cursor":"9.1"}"#, 107),
        ] {
            #expect(bob.call(method, data) == nil && bob.errorCode == code, "\(method) \(data)")
        }
        #expect(bob.call("ack", #"{"cursor":"1.5-3"}"#) != nil, "another epoch does nothing")
        let bearer = ["Authorization": "Bearer \(token("bob"))"]
        for (body, status) in [
            ("", 400), ("{}", 400), ("[1]", 400), (#"{"cursor":"1.5-3"} x"#, 400), (#"{"ids":["\#(id)","\#(id)","\#(id)"]}"#, 400),
            (#"{"ids":["\#(id)"],"x":"\#(String(repeating: "y", count: 1024))"}"#, 413), (#"{"ids":["\#(id)"]}"#, 200),
        ] {
            for path in ["ack", "read"] {
                let answer = await site.http("POST", "/v1/inbox/\(path)", bearer, body: body)
                #expect(answer.status == status, "\(path) \(body)")
                #expect(status == 200 || answer.body.contains("/problems#"))
            }
        }
        #expect(await site.http("POST", "/v1/inbox/read", body: "{}").status == 401)
        #expect(await site.http("GET", "/v1/inbox/ack", bearer).status == 405)
        for reason in ["method", "form", "ids", "window", "rate"] {
            #expect(await site.metric(#"carillon_gateway_call_refusals_total{reason="\#(reason)"}"#) >= 1, "\(reason)")
        }
        await site.stop()
    }

    @Test func latenciesAreMeasuredFromAcks() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob", name: "swift")
        let odd = try connected(site, "bob", name: "my own")
        let accepted = EventLoop.wallClock() + 5
        let epoch = try await site.feeder.deliver(["a", "b"], to: "bob", accepted: accepted).epoch
        #expect(bob.readTitles(2).count == 2)
        for _ in 1...2 { #expect(bob.call("ack", #"{"epoch":"\#(epoch)","offset":2}"#) != nil) }
        let delivery = "carillon_client_delivery_seconds_count"
        #expect(await site.metric(#"\#(delivery){transport="websocket",client="swift"}"#) == 1)
        #expect(odd.call("ack", #"{"epoch":"\#(epoch)","offset":1}"#) != nil)
        #expect(await site.metric(#"\#(delivery){transport="websocket",client="other"}"#) == 1)
        // What was accepted long before this connection says how long somebody was away.
        try await site.feeder.deliver(["old"], to: "bob", accepted: accepted - 3_600_000)
        #expect(bob.readTitles(3).count == 3 && bob.call("ack", #"{"epoch":"\#(epoch)","offset":3}"#) != nil)
        #expect(await site.metric(#"\#(delivery){transport="websocket",client="swift"}"#) == 1)
        try await site.feeder.deliver(["c"], to: "bob", accepted: accepted)
        let bearer = ["Authorization": "Bearer \(token("bob"))"]
        let body = #"{"cursor":"1.\#(epoch)-4","transport":"sse","name":"js"}"#
        for _ in 1...2 { #expect(await site.http("POST", "/v1/inbox/ack", bearer, body: body).status == 200) }
        #expect(await site.metric(#"\#(delivery){transport="sse",client="js"}"#) == 1)
        let first = "carillon_first_update_seconds_count"
        #expect(await site.metric(#"\#(first){transport="websocket",client="swift"}"#) == 1)
        let stream = try #require(EventPeer(site.port, query: "?name=js", headers: "Authorization: Bearer \(token("bob"))\r\n"))
        #expect(stream.next() != nil)
        #expect(await site.metric(#"\#(first){transport="sse",client="js"}"#) == 1)
        // A poll's first update is the answer that says where the present is; the others wait for what is new.
        for query in ["?name=dart", "?name=dart&wait=0&cursor=1.\(epoch)-4"] {
            #expect(await [200, 204].contains(site.http("GET", "/connection/poll" + query, bearer).status))
        }
        #expect(await site.metric(#"\#(first){transport="poll",client="dart"}"#) == 1)
        await site.stop()
    }

    @Test func aWindowHoldsUntilAcksCome() async throws {
        let site = try await Deployment(["PAGE_ENTRIES": "4"])
        let bob = try connected(site, "bob")
        #expect(bob.call("window", #"{"size":3}"#) != nil)
        let all = (1...20).map { "\($0)" }
        let epoch = try await site.feeder.deliver(Array(all[..<10]), to: "bob").epoch
        #expect(bob.readTitles(3) == Array(all[..<3]))
        try await site.feeder.deliver(Array(all[10...]), to: "bob")
        #expect(bob.call("ack", #"{"epoch":"1","offset":3}"#) != nil, "another epoch does nothing")
        #expect(bob.titles.count == 3)
        var acked = 0
        while acked < 20 {
            acked += 1
            #expect(bob.call("ack", #"{"epoch":"\#(epoch)","offset":\#(acked)}"#) != nil)
            #expect(bob.readTitles(min(20, acked + 3)).count <= acked + 3)
        }
        #expect(bob.titles == all)
        #expect(try site.redis.cli("HGET", "inbox:{\(shard("bob"))}:bob:state", "acked") == "20")
        // Without a window it is live as before.
        #expect(bob.call("window", #"{"size":0}"#) != nil)
        try await site.feeder.deliver((21...30).map { "\($0)" }, to: "bob")
        #expect(bob.readTitles(30) == (1...30).map { "\($0)" })
        await site.stop()
    }

    @Test func aRateIsHeldAndHighPriorityPasses() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        #expect(bob.call("rate", #"{"perSecond":4}"#) != nil)
        let start = ContinuousClock.now
        // One batch, heard in one turn: however slow this machine is, no second passes between.
        try await site.feeder.deliver((1...10).map { "\($0)" }, to: "bob", urgent: ["urgent"])
        #expect(bob.readTitles(5).prefix(5) == ["1", "2", "3", "4", "urgent"], "it did not wait")
        // Its cursor is where the flow stands, so that nothing is missed by who recovers from it.
        #expect(bob.cursors[4] == bob.cursors[3])
        #expect(bob.readTitles(11).filter { $0 != "urgent" } == (1...10).map { "\($0)" })
        #expect(ContinuousClock.now - start >= .seconds(2), "4, 4 and 2")
        try await site.feeder.deliver(["after"], to: "bob")
        #expect(bob.readTitles(12).last == "after" && bob.titles.count { $0 == "urgent" } == 1)
        #expect(bob.cursors.last?.hasSuffix("-12") == true)
        await site.stop()
    }

    @Test func aPausedWatcherCatchesUpWithItsChannels() async throws {
        let site = try await Deployment()
        let bob = try #require(WebSocketPeer(site.port))
        bob.connect(channelToken("bob", ["room"]))
        bob.subscribe(2, "room")
        #expect(bob.subscribed(2)["epoch"] != nil)
        let ann = try #require(WebSocketPeer(site.port))
        ann.connect(channelToken("ann", ["room"]))
        ann.subscribe(2, "room")
        #expect(ann.subscribed(2)["epoch"] != nil)
        _ = try await site.feeder.post(["1"], to: "room")
        #expect(bob.readPosts(1) == ["1 1"])
        #expect(bob.call("pause") != nil)
        _ = try await site.feeder.post(["2", "3"], to: "room")
        #expect(ann.readPosts(3) == ["1 1", "2 2", "3 3"])
        #expect(bob.call("window", #"{"size":9}"#) != nil && bob.readPosts(0) == ["1 1"], "nothing while it is paused")
        #expect(bob.call("resume") != nil)
        _ = try await site.feeder.post(["4"], to: "room")
        #expect(bob.readPosts(4) == ["1 1", "2 2", "3 3", "4 4"])
        await site.stop()
    }

    @Test func aPauseThatOutlastsTheInboxIsToldSo() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        try await site.feeder.deliver(["1"], to: "bob")
        #expect(bob.readTitles(1) == ["1"] && bob.call("pause") != nil)
        let epoch = try await site.feeder.deliver((2...9).map { "\($0)" }, to: "bob").epoch
        let key = "inbox:{\(shard("bob"))}:bob"
        try site.redis.cli("XTRIM", key, "MINID", "\(epoch)-5")
        try site.redis.cli("HSET", key + ":state", "floor", "5")
        bob.send(#"{"id":9,"rpc":{"method":"resume"}}"#)
        #expect(bob.read { $0.closeCode == 3010 } && bob.titles == ["1"])
        await site.stop()
    }

    /// A resume that finds a read under way waits for it; two at a time are one too many.
    @Test func resumesWaitForAReadUnderWay() async throws {
        // So many that they are still being read when the calls arrive.
        let site = try await Deployment(["PAGE_ENTRIES": "1"])
        let bob = try connected(site, "bob")
        let epoch = try await site.feeder.deliver((1...500).map { "\($0)" }, to: "bob", publishes: false).epoch
        var late: WebSocketPeer
        repeat {
            late = try #require(WebSocketPeer(site.port))
            late.connect(token("bob"), epoch: "\(epoch)")
            #expect(late.read { !$0.titles.isEmpty })
            late.send(
                (2...4).map { #"{"id":\#($0),"rpc":{"method":"\#($0 == 2 ? "pause" : "resume")"}}"# }.joined(separator: "\n"))
            #expect(late.read { $0.replies.count == 4 })
            // Where this test stood still meanwhile, all have been read before it paused.
        } while late.titles.count == 500
        let page = late.replies.compactMap { ($0["rpc"] as? [String: Any])?["data"] as? [String: Any] }
            .first { $0["notifications"] != nil }
        #expect((page?["notifications"] as? [[String: Any]])?.compactMap { $0["title"] as? String } == ["500"])
        let before = late.titles.count
        #expect(late.titles == (1...before).map { "\($0)" } && before < 500)
        try await site.feeder.deliver(["live"], to: "bob")
        #expect(late.readTitles(before + 1).last == "live" && late.titles.count == before + 1)
        #expect(bob.readTitles(501).count == 501)
        await site.stop()
    }

    @Test func aPausedClientGetsNothingAndResumesWithTheNewest() async throws {
        let site = try await Deployment(["PAGE_ENTRIES": "3"])
        let bob = try connected(site, "bob")
        let other = try connected(site, "bob")
        try await site.feeder.deliver(["1", "2"], to: "bob")
        #expect(bob.readTitles(2) == ["1", "2"])
        #expect(bob.call("pause") != nil)
        try await site.feeder.deliver((3...8).map { "\($0)" }, to: "bob")
        #expect(other.readTitles(8).count == 8)
        #expect(Counts(try #require(other.call("read", #"{"cursor":"\#(other.cursors[3])"}"#))) == Counts(4, 1))
        let resumed = try #require(bob.call("resume"))
        #expect(bob.titles.count == 2 && bob.reads.isEmpty, "nothing while it was paused")
        #expect(Counts(resumed) == Counts(4, 1) && resumed["complete"] as? Bool == false)
        let page = (resumed["notifications"] as? [[String: Any]])?.compactMap { $0["title"] as? String }
        #expect(page == ["6", "7", "8"] && resumed["cursor"] as? String == other.cursors[7])
        #expect(bob.subscribed == [8])
        try await site.feeder.deliver(["9"], to: "bob")
        #expect(bob.readTitles(3) == ["1", "2", "9"])
        // A short pause leaves nothing out, and a resume without a pause answers that there is nothing.
        #expect(bob.call("pause") != nil)
        try await site.feeder.deliver(["10"], to: "bob")
        let short = try #require(bob.call("resume"))
        #expect(short["complete"] as? Bool == true && (short["notifications"] as? [Any])?.count == 1)
        let none = try #require(bob.call("resume"))
        #expect(none["complete"] as? Bool == true && (none["notifications"] as? [Any])?.isEmpty == true)
        try await site.feeder.deliver(["11"], to: "bob")
        #expect(bob.readTitles(4) == ["1", "2", "9", "11"])
        await site.stop()
    }

    /// A tab that is shown and hidden again at once: the later word counts, though the first is still being read for.
    @Test func aPauseBehindAResumeHolds() async throws {
        let site = try await Deployment()
        let bob = try connected(site, "bob")
        let other = try connected(site, "bob")
        #expect(bob.call("pause") != nil)
        try await site.feeder.deliver(["1"], to: "bob")
        bob.send(["resume", "pause"].map { #"{"id":9,"rpc":{"method":"\#($0)"}}"# }.joined(separator: "\n"))
        #expect(bob.read { $0.replies.count { $0["id"] as? Int == 9 } == 2 })
        try await site.feeder.deliver(["2"], to: "bob")
        #expect(other.readTitles(2) == ["1", "2"])
        let resumed = try #require(bob.call("resume"))
        #expect((resumed["notifications"] as? [[String: Any]])?.compactMap { $0["title"] as? String } == ["2"])
        try await site.feeder.deliver(["3"], to: "bob")
        #expect(bob.readTitles(1) == ["3"])
        await site.stop()
    }
}
