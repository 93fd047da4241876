import EventLoop
import Foundation
import Models
import Store
import TestSupport
import Testing
import Tokens

@testable import Gateway

/// Every command with an id has exactly one reply, whatever comes behind it.
@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct ReplyTests {
    private func count(_ peer: WebSocketPeer, _ id: Int) -> Int { peer.replies.count { $0["id"] as? Int == id } }

    private func connected(_ site: Deployment, _ token: String) throws -> WebSocketPeer {
        let peer = try #require(WebSocketPeer(site.port))
        peer.connect(token)
        #expect(peer.read { !$0.replies.isEmpty })
        return peer
    }

    @Test func aSubscribeIsAnsweredWhateverFollowsIt() async throws {
        let site = try await Deployment()
        let ann = try connected(site, channelToken("ann", ["room"]))
        let name = #"{"channel":"channel:room"}"#
        // In one frame, before any of them can have an answer from Redis.
        ann.send(
            """
            {"id":2,"subscribe":\(name)}
            {"id":3,"presence":\(name)}
            {"id":4,"subscribe":\(name)}
            {"id":5,"unsubscribe":\(name)}
            {"id":6,"presence_stats":\(name)}
            {"id":7,"subscribe":\(name)}
            {"id":8,"history":\(name)}
            """)
        #expect(ann.subscribed(2)["epoch"] != nil)
        let watchers = (ann.reply(3)["presence"] as? [String: Any])?["presence"] as? [String: Any]
        #expect(watchers?.count == 1, "granted a moment before")
        #expect(ann.error(4) == 105)
        #expect(ann.reply(5)["unsubscribe"] != nil)
        #expect(ann.error(6) == 103, "she has left it")
        #expect(ann.subscribed(7)["epoch"] != nil)
        #expect(ann.reply(8)["history"] != nil)
        let answered = ann.replies.compactMap { $0["id"] as? Int }
        #expect(answered.count == 8 && answered.prefix(2) == [1, 2], "each once")

        // One that is refused is answered as well, and lets those behind it go on.
        ann.send(
            #"{"id":9,"subscribe":{"channel":"channel:secret"}}"# + "\n" + #"{"id":10,"unsubscribe":{"channel":"channel:secret"}}"#)
        #expect(ann.error(9) == 103 && ann.reply(10)["unsubscribe"] != nil)
        await site.stop()
    }

    /// A token that allows less comes while the subscribe is under way: it is to be asked for again, which tells.
    @Test func aSubscribeWhoseTokenIsReplacedIsAnswered() async throws {
        let site = try await Deployment()
        let ann = try connected(site, channelToken("ann", ["room"]))
        ann.send(
            """
            {"id":2,"subscribe":{"channel":"channel:room"}}
            {"id":3,"refresh":{"token":"\(channelToken("ann", ["other"]))"}}
            {"id":4,"subscribe":{"channel":"channel:room"}}
            """)
        #expect(ann.error(2) == 100 && ann.reply(3)["refresh"] != nil && ann.error(4) == 103)
        #expect(ann.tidings.isEmpty, "no unsubscribe of what was never answered")
        await site.stop()
    }

    /// Behind a connect, in the same frame: `resume` waits for the registration's own read.
    @Test func aResumeBehindTheConnectIsAnswered() async throws {
        let site = try await Deployment()
        let ann = try #require(WebSocketPeer(site.port))
        ann.send(
            #"{"id":1,"connect":{"token":"\#(token("ann"))"}}"# + "\n" + #"{"id":2,"rpc":{"method":"pause"}}"# + "\n"
                + #"{"id":3,"rpc":{"method":"resume"}}"#)
        #expect(ann.reply(3)["rpc"] != nil && count(ann, 2) == 1)
        await site.stop()
    }

    @Test func whatStandsBehindAConnectThatIsRefusedIsAnswered() async throws {
        let site = try await Deployment()
        let ann = try #require(WebSocketPeer(site.port))
        let rest = #"{"id":2,"subscribe":{"channel":"channel:room"}}"# + "\n" + #"{"id":3,"rpc":{"method":"pause"}}"#
        ann.send(#"{"id":1,"connect":{"token":"\#(token("ann", seconds: -5))"}}"# + "\n" + rest)
        #expect(ann.error(1) == 109 && ann.error(2) == 100 && ann.error(3) == 100)
        ann.send(#"{"id":4,"connect":{"token":"\#(channelToken("ann", ["room"]))"}}"#)
        #expect(ann.reply(4)["connect"] != nil)
        await site.stop()
    }

    /// Commands behind a subscribe wait in a bounded number: one more is refused by itself.
    @Test func noMoreWaitThanThereMayBeSubscriptions() async throws {
        let site = try await Deployment(["MAX_SUBSCRIPTIONS": "3"])
        let ann = try connected(site, channelToken("ann", ["room"]))
        let name = #"{"channel":"channel:room"}"#
        ann.send(
            #"{"id":2,"subscribe":\#(name)}"# + (3...7).map { "\n" + #"{"id":\#($0),"presence_stats":\#(name)}"# }.joined())
        #expect(ann.subscribed(2)["epoch"] != nil)
        for id in 3...5 { #expect(ann.reply(id)["presence_stats"] != nil) }
        #expect(ann.error(6) == 106 && ann.error(7) == 106)
        await site.stop()
    }

    @Test func exactlyOneReplyForEach() async throws {
        let site = try await Deployment(["OPERATIONS_PER_MINUTE": "100000", "MAX_SUBSCRIPTIONS": "5"])
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        for round in 0..<8 {
            let ann = try #require(WebSocketPeer(site.port))
            ann.connect(channelToken("ann", ["room", "hall", "attic"]))
            // The first rounds do not wait for the connect's answer, behind which commands are kept as well.
            if round >= 4 { #expect(ann.read { !$0.replies.isEmpty }) }
            var id = 1
            while id < 200 {
                let size = Int.random(in: 1...12, using: &random)
                ann.send((id + 1...id + size).map { Self.command($0, &random) }.joined(separator: "\n"))
                id += size
            }
            let last = id + 1
            #expect(
                ann.read { peer in (2...id).allSatisfy { count(peer, $0) >= 1 } },
                "unanswered: \((2...id).filter { count(ann, $0) == 0 })")
            ann.send(#"{"id":\#(last),"rpc":{"method":"ack","data":{"ids":[]}}}"#)
            #expect(ann.error(last) == 107)
            #expect((1...last).allSatisfy { count(ann, $0) == 1 } && ann.closeCode == nil)
            ann.socket.close()
        }
        await site.stop()
    }

    private static func command(_ id: Int, _ random: inout SeededGenerator) -> String {
        let channel = ["channel:room", "channel:room", "channel:hall", "channel:attic", "channel:secret", "inbox", "", "channel:"]
            .randomElement(using: &random)!
        let more = ["", #","recover":true"#, #","recover":true,"flag":2,"epoch":"1","offset":7"#, #","join_leave":true"#]
            .randomElement(using: &random)!
        let commands = [
            #""subscribe":{"channel":"\#(channel)"\#(more)}"#, #""subscribe":{"channel":"\#(channel)"\#(more)}"#,
            #""unsubscribe":{"channel":"\#(channel)"}"#, #""unsubscribe":{"channel":"\#(channel)"}"#,
            #""presence":{"channel":"\#(channel)"}"#, #""presence_stats":{"channel":"\#(channel)"}"#,
            #""history":{"channel":"\#(channel)","limit":5}"#,
            #""history":{"channel":"\#(channel)","since":{"offset":1,"epoch":""}}"#,
            #""rpc":{"method":"ack","data":{"epoch":"1","offset":1}}"#, #""rpc":{"method":"read","data":{}}"#,
            #""rpc":{"method":"pause"}"#, #""rpc":{"method":"resume"}"#, #""rpc":{"method":"resume"}"#,
            #""rpc":{"method":"window","data":{"size":1}}"#, #""rpc":{"method":"none"}"#, #""rpc":null"#,
            #""publish":{}"#, #""sub_refresh":{}"#, #""ping":{}"#, #""later":1"#,
            #""refresh":{"token":"\#(channelToken("ann", ["hall"]))"}"#,
            #""refresh":{"token":"\#(channelToken("ann", ["room", "hall", "attic"]))"}"#,
        ]
        return #"{"id":\#(id),\#(commands.randomElement(using: &random)!)}"#
    }

    // MARK: Refresh

    /// An error in the reply would end SDKs for good: the close lets them come back with a new token.
    @Test func aRefreshWithAnExpiredTokenClosesWith3005() async throws {
        let site = try await Deployment()
        let ann = try connected(site, token("ann"))
        ann.send(#"{"id":2,"refresh":{"token":"\#(token("ann", seconds: -1))"}}"#)
        #expect(ann.read { $0.closeCode == 3005 } && ann.replies.count == 1)
        #expect(await site.metric(#"carillon_gateway_disconnects_total{reason="expired"}"#) == 1)
        #expect(site.log.count("cause=expired") == 1)
        await site.stop()
    }

    // MARK: What a client may leave out

    @Test func nullIsAbsentInCommandsAndBodies() async throws {
        let site = try await Deployment(["API_KEY": "0123456789abcdef"])
        // Who comes with a header needs no token in her connect.
        let ann = try #require(WebSocketPeer(site.port, headers: "Authorization: Bearer \(channelToken("ann", ["room"]))\r\n"))
        ann.send(
            #"{"id":1,"connect":{"token":null,"name":null,"data":null,"subs":{"inbox":{"recover":null,"epoch":null,"offset":null}}},"rpc":null}"#
        )
        #expect(ann.reply(1)["connect"] != nil)
        ann.send(
            #"{"id":2,"subscribe":{"channel":"channel:room","recover":null,"epoch":null,"offset":null,"flag":null,"join_leave":null,"data":null}}"#
        )
        #expect(ann.subscribed(2)["epoch"] != nil)
        ann.send(#"{"id":3,"history":{"channel":"channel:room","limit":null,"reverse":null,"since":null}}"#)
        #expect(ann.reply(3)["history"] != nil)
        #expect(ann.call("pause", "null") != nil && ann.call("resume", "null") != nil)
        #expect(ann.call("window", #"{"size":0,"ids":null,"cursor":null}"#) != nil)
        let posted = try await site.feeder.deliver(["x"], to: "ann")
        let position = #""epoch":"\#(posted.epoch)","offset":1"#
        #expect(ann.call("read", #"{\#(position),"ids":null,"cursor":null}"#) != nil)
        ann.send(#"{"send":{"data":{"method":"ack",\#(position),"ids":null}},"id":null}"#)

        let bearer = ["Authorization": "Bearer \(token("ann"))"]
        for path in ["/v1/inbox/ack", "/v1/inbox/read"] {
            let body = #"{"cursor":"1.\#(posted.epoch)-1","ids":null,"epoch":null,"offset":null,"transport":null,"name":null}"#
            #expect(await site.http("POST", path, bearer, body: body).status == 200)
        }
        let key = ["X-API-Key": "0123456789abcdef"]
        for body in [#"{"jti":"j","person":null,"expires":null,"before":null}"#, #"{"jti":null,"person":"eve","before":null}"#] {
            #expect(await site.http("POST", "/v1/revocations", key, body: body).status == 200)
        }
        #expect(ann.closeCode == nil)
        await site.stop()
    }
}
