import EventLoop
import Foundation
import Models
import Redis
import Store
import TestSupport
import Testing
import Tokens

@testable import Gateway

func channelToken(_ person: String, _ channels: [String], info: String? = nil) -> String {
    let now = EventLoop.wallClock() / 1000
    return mintHS256(
        TokenClaims(
            subject: person, expires: now + 600, issuedAt: now, channels: channels, info: info.map { Array($0.utf8) }),
        secret: secret)
}

extension Feeder {
    /// Appends posts to a channel and, unless told not to, publishes them to its watchers.
    @discardableResult
    func post(
        _ titles: [String], to channel: String, publishes: Bool = true, priority: String = "normal", accepted: Int64 = 1
    ) async throws -> Posted {
        let id = try #require(ChannelID(channel))
        let streams = ChannelStreams(try #require(client), Keyspace(namespace: "", shards: 64))
        let posts = titles.map { delivery($0, priority: priority, accepted: accepted) }
        let posted: Posted = try await withCheckedThrowingContinuation { done in
            streams.append(posts, to: id) { done.resume(with: $0.mapError { $0 as any Error }) }
        }
        guard publishes else { return posted }
        for instance in posted.watchers {
            var batch = GatewayBatch()
            for (post, entry) in zip(posts, posted.entries) {
                batch.post(
                    id, StreamPosition(epoch: posted.epoch, offset: entry.offset), accepted: post.accepted, priority: post.priority,
                    post.bytes, post.range)
            }
            try await publish(String(decoding: batch.take(), as: UTF8.self), to: instance.text)
        }
        return posted
    }
}

extension WebSocketPeer {
    func subscribe(_ id: Int, _ channel: String, _ more: String = "") {
        send(#"{"id":\#(id),"subscribe":{"channel":"channel:\#(channel)"\#(more)}}"#)
    }

    /// The answer to a command, once it is there.
    func reply(_ id: Int) -> [String: Any] {
        _ = read { $0.replies.contains { $0["id"] as? Int == id } }
        return replies.first { $0["id"] as? Int == id } ?? [:]
    }

    func error(_ id: Int) -> Int? { (reply(id)["error"] as? [String: Any])?["code"] as? Int }

    func subscribed(_ id: Int) -> [String: Any] { reply(id)["subscribe"] as? [String: Any] ?? [:] }

    /// Titles and offsets of the posts that were pushed.
    var posts: [String] {
        pushes.compactMap { push in
            guard let post = push["pub"] as? [String: Any], let data = post["data"] as? [String: Any] else { return nil }
            return "\(data["title"] ?? "?") \(post["offset"] ?? "?")"
        }
    }

    func readPosts(_ count: Int, _ seconds: Double = 60) -> [String] {
        _ = read(seconds) { $0.posts.count >= count }
        return posts
    }

    /// `join ann`, `leave ann`, `unsubscribe 2500`.
    var tidings: [String] {
        pushes.compactMap { push in
            for name in ["join", "leave"] {
                guard let info = (push[name] as? [String: Any])?["info"] as? [String: Any] else { continue }
                return "\(name) \(info["user"] ?? "?")"
            }
            return (push["unsubscribe"] as? [String: Any]).map { "unsubscribe \($0["code"] ?? "?")" }
        }
    }
}

func titles(_ reply: [String: Any]) -> [String] {
    (reply["publications"] as? [[String: Any]] ?? []).compactMap { ($0["data"] as? [String: Any])?["title"] as? String }
}

@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct ChannelTests {
    func watcher(_ site: Deployment, _ person: String, _ channels: [String], info: String? = nil) throws -> WebSocketPeer {
        let peer = try #require(WebSocketPeer(site.port))
        peer.connect(channelToken(person, channels, info: info))
        #expect(peer.read { !$0.replies.isEmpty })
        return peer
    }

    @Test func watchersShareAChannelAndRecoverIt() async throws {
        let site = try await Deployment(["PAGE_ENTRIES": "5"])
        let ann = try watcher(site, "ann", ["general", "other"])
        let bob = try watcher(site, "bob", ["general"])
        ann.subscribe(2, "general")
        bob.subscribe(2, "general")
        let begin = ann.subscribed(2)
        #expect(begin["recoverable"] as? Bool == true && begin["positioned"] as? Bool == true && begin["offset"] as? Int == 0)
        #expect(begin["recovered"] as? Bool == false && begin["publications"] == nil)
        let epoch = try #require(begin["epoch"] as? String)
        #expect(bob.subscribed(2)["epoch"] as? String == epoch)
        try await site.feeder.post(["a", "b"], to: "general")
        try await site.feeder.deliver(["mine"], to: "bob")
        try await site.feeder.post(["c"], to: "general")
        #expect(ann.readPosts(3) == ["a 1", "b 2", "c 3"] && bob.readPosts(3) == ["a 1", "b 2", "c 3"])
        #expect(bob.readTitles(1) == ["mine"] && ann.titles.isEmpty)
        #expect(await site.metric("carillon_gateway_channel_deliveries_total") == 6)
        #expect(await site.metric("carillon_gateway_subscriptions") == 2)
        #expect(await site.metric("carillon_gateway_channels") == 1)

        // Away, and back: the first page in the reply, the others as pushes, then live.
        bob.send(#"{"id":3,"unsubscribe":{"channel":"channel:general"}}"#)
        #expect(bob.reply(3)["unsubscribe"] != nil)
        try await site.feeder.post((4...20).map { "\($0)" }, to: "general")
        #expect(ann.readPosts(20).count == 20)
        bob.subscribe(4, "general", #","recover":true,"epoch":"\#(epoch)","offset":3"#)
        let back = bob.subscribed(4)
        #expect(back["recovered"] as? Bool == true && back["was_recovering"] as? Bool == true && back["offset"] as? Int == 3)
        #expect(titles(back) == ["4", "5", "6", "7", "8"])
        #expect(bob.readPosts(15).dropFirst(3) == (9...20).map { "\($0) \($0)" }[...])
        try await site.feeder.post(["live"], to: "general")
        #expect(bob.readPosts(16).last == "live 21" && ann.readPosts(21).last == "live 21")

        // What cannot be recovered starts at the present, and says so.
        let lost = try watcher(site, "carol", ["general"])
        lost.subscribe(2, "general", #","recover":true,"epoch":"12345","offset":3"#)
        #expect(lost.subscribed(2)["recovered"] as? Bool == false && lost.subscribed(2)["offset"] as? Int == 21)
        lost.send(#"{"id":3,"unsubscribe":{"channel":"channel:general"}}"#)
        lost.subscribe(4, "general", #","recover":true,"epoch":"12345","offset":3,"flag":3"#)
        #expect(lost.error(4) == 112)
        lost.subscribe(5, "general", #","recover":true,"epoch":"\#(epoch)","offset":21,"flag":3"#)
        #expect(lost.subscribed(5)["recovered"] as? Bool == true)
        for peer in [ann, bob, lost] { peer.socket.close() }
        try await until { try site.redis.cli("KEYS", "channel:{general}:[wplo]*") == "" }
        try await until { try site.redis.cli("KEYS", "watching:*") == "" }
        #expect(await site.metric("carillon_gateway_subscriptions") == 0)
        await site.stop()
    }

    @Test func presenceHistoryAndTidings() async throws {
        let site = try await Deployment(["CHANNEL_PRESENCE_MAX": "2", "PAGE_ENTRIES": "3"])
        let ann = try watcher(site, "ann", ["room"], info: #"{"name":"Ann"}"#)
        ann.subscribe(2, "room", #","join_leave":true"#)
        #expect(ann.subscribed(2)["epoch"] != nil)
        let bob = try watcher(site, "bob", ["room"])
        bob.subscribe(2, "room")
        #expect(bob.subscribed(2)["epoch"] != nil)
        #expect(ann.read { $0.tidings == ["join bob"] })
        bob.send(#"{"id":3,"presence":{"channel":"channel:room"}}"#)
        let presence = (bob.reply(3)["presence"] as? [String: Any])?["presence"] as? [String: [String: Any]] ?? [:]
        #expect(presence.count == 2 && Set(presence.values.compactMap { $0["user"] as? String }) == ["ann", "bob"])
        let connect = bob.replies[0]["connect"] as? [String: Any]
        #expect(presence[connect?["client"] as? String ?? ""]?["user"] as? String == "bob")
        #expect(presence.values.contains { ($0["conn_info"] as? [String: String]) == ["name": "Ann"] })
        // One more than are named: the numbers stay true, and nobody is told any more.
        let more = try watcher(site, "bob", ["room"])
        more.subscribe(2, "room")
        #expect(more.subscribed(2)["epoch"] != nil)
        more.send(#"{"id":3,"presence_stats":{"channel":"channel:room"}}"#)
        let numbers = more.reply(3)["presence_stats"] as? [String: Int]
        #expect(numbers == ["num_clients": 3, "num_users": 2])
        more.send(#"{"id":4,"presence":{"channel":"channel:room"}}"#)
        #expect(more.error(4) == 106)
        more.socket.close()
        try await until { try site.redis.cli("HGET", "channel:{room}:people", "bob") == "1" }
        bob.socket.close()
        // Two were left when the third went, so of that she was told again.
        #expect(ann.read { $0.tidings == ["join bob", "leave bob", "leave bob"] })

        let posted = try await site.feeder.post(["a", "b", "c", "d", "e"], to: "room")
        #expect(ann.readPosts(5).count == 5)
        let cases: [(String, [String])] = [
            (#""limit":0"#, []), (#""limit":2"#, ["a", "b"]), (#""limit":-1"#, ["a", "b", "c"]), (#""limit":50"#, ["a", "b", "c"]),
            (#""limit":2,"reverse":true"#, ["e", "d"]),
            (#""limit":2,"since":{"epoch":"\#(posted.epoch)","offset":3}"#, ["d", "e"]),
            (#""limit":2,"reverse":true,"since":{"epoch":"\#(posted.epoch)","offset":3}"#, ["b", "a"]),
        ]
        for (number, (options, expected)) in cases.enumerated() {
            ann.send(#"{"id":\#(10 + number),"history":{"channel":"channel:room",\#(options)}}"#)
            let answer = ann.reply(10 + number)["history"] as? [String: Any] ?? [:]
            #expect(titles(answer) == expected && answer["offset"] as? Int == 5, "\(options)")
            #expect(answer["epoch"] as? String == "\(posted.epoch)")
        }
        ann.send(#"{"id":30,"history":{"channel":"channel:room","since":{"epoch":"7","offset":3}}}"#)
        #expect(ann.error(30) == 112)
        await site.stop()
    }

    @Test func whoMayNotIsRefused() async throws {
        let site = try await Deployment(["MAX_SUBSCRIPTIONS": "2"])
        let bob = try watcher(site, "bob", ["a", "b", "c"])
        bob.subscribe(2, "secret")
        #expect(bob.error(2) == 103)
        try site.redis.cli("ZADD", "audience:{channel:secret}", "0", "bob")
        bob.subscribe(3, "secret")
        #expect(bob.subscribed(3)["epoch"] != nil)
        bob.subscribe(4, "secret")
        #expect(bob.error(4) == 105)
        for (number, name) in ["inbox", "general", "channel:", "channel:{x}", ""].enumerated() {
            bob.send(#"{"id":\#(10 + number),"subscribe":{"channel":"\#(name)"}}"#)
            #expect(bob.error(10 + number) == (name == "inbox" ? 105 : 102))
        }
        bob.subscribe(20, "a")
        #expect(bob.subscribed(20)["epoch"] != nil)
        bob.subscribe(21, "b")
        #expect(bob.error(21) == 106)
        #expect(await site.metric("carillon_gateway_subscription_refusals_total{reason=\"limit\"}") == 1)
        #expect(await site.metric("carillon_gateway_subscription_refusals_total{reason=\"permission\"}") == 1)
        bob.send(#"{"id":22,"unsubscribe":{"channel":"channel:secret"}}"#)
        bob.subscribe(23, "b")
        #expect(bob.subscribed(23)["epoch"] != nil)
        // Questions are for those who watch.
        for (number, name) in ["presence", "presence_stats", "history"].enumerated() {
            bob.send(#"{"id":\#(30 + number),"\#(name)":{"channel":"channel:c"}}"#)
            #expect(bob.error(30 + number) == 103)
        }
        // A token that allows less ends what it does not allow.
        bob.send(#"{"id":40,"refresh":{"token":"\#(channelToken("bob", ["b"]))"}}"#)
        #expect(bob.read { $0.tidings == ["unsubscribe 2501"] })
        bob.subscribe(41, "a")
        #expect(bob.error(41) == 103)
        // No text at all is a breach.
        bob.send(#"{"id":50,"subscribe":{"channel":7}}"#)
        #expect(bob.read { $0.closeCode == 3501 })
        await site.stop()
    }

    /// As SDKs do that come back: the subscribes stand behind the connect, in the same message or the next.
    @Test func whatComesBeforeTheConnectIsAnsweredWaits() async throws {
        let site = try await Deployment(["MAX_SUBSCRIPTIONS": "2"])
        func connect(_ token: String) -> String { #"{"id":1,"connect":{"token":"\#(token)"}}"# }
        func subscribe(_ id: Int, _ channel: String) -> String { #"{"id":\#(id),"subscribe":{"channel":"channel:\#(channel)"}}"# }
        let bob = try #require(WebSocketPeer(site.port))
        bob.send([connect(channelToken("bob", ["a", "b"])), subscribe(2, "a"), "{}"].joined(separator: "\n"))
        bob.send(subscribe(3, "b"))
        #expect(bob.subscribed(2)["epoch"] != nil && bob.subscribed(3)["epoch"] != nil)
        #expect(bob.replies.map { $0["id"] as? Int } == [1, 2, 3])
        // What stands behind a refused connect is to be asked again, and another connect may follow.
        let late = try #require(WebSocketPeer(site.port))
        late.send([connect(token("bob", seconds: -5)), subscribe(2, "a")].joined(separator: "\n"))
        #expect(late.error(1) == 109 && late.error(2) == 100)
        late.send(connect(channelToken("bob", ["a"])).replacingOccurrences(of: "\"id\":1", with: "\"id\":7"))
        #expect(late.reply(7)["connect"] != nil && late.replies.count == 3)
        // No more than one message holds, while the answer is under way.
        let large = try #require(WebSocketPeer(site.port))
        let call = #"{"id":2,"rpc":{"method":"ack","data":{"x":"\#(String(repeating: "y", count: 40_000))"}}}"#
        site.redis.suspend()
        large.connect(token("bob"))
        for _ in 0..<2 { large.send(call) }
        #expect(large.read { $0.closeCode == 3013 })
        site.redis.resume()
        try await until { WebSocketPeer(site.port)?.status == 101 }
        // What is more than may be subscribed to is refused by itself: an SDK with too many channels keeps the others.
        let many = try #require(WebSocketPeer(site.port))
        let early = #"{"id":5,"rpc":{"method":"ack","data":{"ids":["00000000-0000-8000-8000-000000000000"]}}}"#
        let beyond = [subscribe(4, "c"), early, #"{"send":{"data":{"method":"pause"}}}"#]
        many.send(
            ([connect(channelToken("bob", ["a", "b", "c"])), subscribe(2, "a"), subscribe(3, "b")] + beyond)
                .joined(separator: "\n"))
        #expect(many.subscribed(2)["epoch"] != nil && many.subscribed(3)["epoch"] != nil)
        #expect(many.error(4) == 106 && many.error(5) == 106 && many.replies.count == 5 && many.closeCode == nil)
        #expect(await site.metric(#"carillon_gateway_subscription_refusals_total{reason="limit"}"#) == 1)
        await site.stop()
    }

    /// Whoever asks who watches, and does not read the answer, keeps it in our memory.
    @Test func anAnswerThatNamesWatchersIsBounded() async throws {
        let site = try await Deployment(["CHANNEL_PRESENCE_MAX_BYTES": "1KB"])
        let long = #"{"name":"\#(String(repeating: "n", count: 600))"}"#
        let ann = try watcher(site, "ann", ["room"], info: long)
        ann.subscribe(2, "room")
        #expect(ann.subscribed(2)["epoch"] != nil)
        ann.send(#"{"id":3,"presence":{"channel":"channel:room"}}"#)
        #expect(ann.reply(3)["presence"] != nil)
        let bob = try watcher(site, "bob", ["room"], info: long)
        bob.subscribe(2, "room")
        #expect(bob.subscribed(2)["epoch"] != nil)
        ann.send(#"{"id":4,"presence":{"channel":"channel:room"}}"#)
        #expect(ann.error(4) == 106)
        ann.send(#"{"id":5,"presence_stats":{"channel":"channel:room"}}"#)
        #expect(ann.reply(5)["presence_stats"] as? [String: Int] == ["num_clients": 2, "num_users": 2])
        await site.stop()
    }

    @Test func aTicketBringsItsTokensChannels() async throws {
        let site = try await Deployment()
        let answer = await site.http("POST", "/v1/connect", ["Authorization": "Bearer \(channelToken("bob", ["room"]))"])
        let ticket = try #require(answer.json["ticket"] as? String)
        let bob = try #require(WebSocketPeer(site.port, query: "?ticket=\(ticket)"))
        bob.send(#"{"id":1,"connect":{}}"#)
        #expect(bob.read { !$0.replies.isEmpty })
        bob.subscribe(2, "room")
        #expect(bob.subscribed(2)["epoch"] != nil)
        await site.stop()
    }
}
