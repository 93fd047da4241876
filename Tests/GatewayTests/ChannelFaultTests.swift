import Foundation
import Models
import ServiceRuntime
import Store
import TestSupport
import Testing

@testable import Gateway

@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct ChannelFaultTests {
    func watcher(_ site: Deployment, _ person: String, receiveBuffer: Int32? = nil) throws -> WebSocketPeer {
        let peer = try #require(WebSocketPeer(site.port, receiveBuffer: receiveBuffer))
        peer.connect(channelToken(person, ["room"]))
        peer.subscribe(2, "room")
        #expect(peer.subscribed(2)["epoch"] != nil)
        return peer
    }

    /// A post that was never told of is read with the next one, once for all; the last of a burst by the batch's number.
    @Test func lossIsNoticed() async throws {
        let site = try await Deployment(["PAGE_ENTRIES": "4"])
        let (ann, bob) = (try watcher(site, "ann"), try watcher(site, "bob"))
        try await site.feeder.post((1...9).map { "\($0)" }, to: "room", publishes: false)
        try await site.feeder.post(["10"], to: "room")
        let expected = (1...10).map { "\($0) \($0)" }
        #expect(ann.readPosts(10) == expected && bob.readPosts(10) == expected)
        try await site.feeder.post(["11"], to: "room", publishes: false)
        let instance = try site.redis.cli("HKEYS", "gateways")
        try site.redis.cli("INCR", "gateway:{\(instance)}:sequence")
        #expect(ann.readPosts(11).last == "11 11" && bob.readPosts(11).last == "11 11")
        // Said twice, shown once.
        try await site.feeder.publish("[]\n{\"channel\":\"room\",\"position\":\"1-1\",\"pub\":{}}\n", to: instance)
        try await site.feeder.post(["12"], to: "room")
        #expect(ann.readPosts(12).suffix(2) == ["11 11", "12 12"] && ann.posts.count == 12)
        #expect(ann.tidings.isEmpty && bob.tidings.isEmpty)
        await site.stop()
    }

    /// Batches are lost and late on the wire, and watchers come and go: each sees a run without a gap from where it began.
    @Test func watchersComeAndGoWhileBatchesAreLost() async throws {
        var random = SeededGenerator(seed: TestSeed.announced())
        let site = try await Deployment(["PAGE_ENTRIES": "3"], faults: PublishFaults(lost: 30, late: 30))
        let steady = try (0..<3).map { try watcher(site, "steady-\($0)") }
        var guests: [(peer: WebSocketPeer, start: Int)] = []
        var posted = 0
        for round in 0..<40 {
            let count = Int.random(in: 1...6, using: &random)
            try await site.feeder.post((1...count).map { "\(posted + $0)" }, to: "room")
            posted += count
            guard round % 4 == 0 else { continue }
            // Some begin at the present, some a few posts before it.
            let peer = try #require(WebSocketPeer(site.port))
            peer.connect(channelToken("guest-\(round)", ["room"]))
            let epoch = steady[0].subscribed(2)["epoch"] as? String ?? ""
            let back = max(0, posted - Int.random(in: 0...8, using: &random))
            peer.subscribe(2, "room", round % 8 == 0 ? #","recover":true,"epoch":"\#(epoch)","offset":\#(back)"# : "")
            let reply = peer.subscribed(2)
            #expect(reply["recovered"] as? Bool == (round % 8 == 0))
            guests.append((peer, (reply["offset"] as? Int ?? -1) + titles(reply).count))
            if round % 12 == 8 { guests.removeFirst().peer.socket.close() }
        }
        let last = "\(posted) \(posted)"
        for peer in steady {
            #expect(peer.read { $0.posts.last == last } && peer.posts == (1...posted).map { "\($0) \($0)" })
        }
        for (peer, start) in guests {
            #expect(peer.read { $0.posts.last == last || start == posted })
            #expect(peer.posts == (start..<posted).map { "\($0 + 1) \($0 + 1)" } && peer.tidings.isEmpty)
        }
        #expect(await site.metric("carillon_gateway_gaps_total") > 0)
        try await until { try site.redis.cli("HVALS", "channel:{room}:watchers") == "\(3 + guests.count)" }
        await site.stop()
    }

    /// Who does not read is served from the stream; the others do not wait for her.
    @Test func aSlowWatcherCatchesUpFromTheStream() async throws {
        let site = try await Deployment(["SEND_BUFFER_BYTES": "16KB", "PAGE_ENTRIES": "20"])
        let (slow, quick) = (try watcher(site, "slow", receiveBuffer: 4096), try watcher(site, "quick"))
        let filling = String(repeating: "x", count: 2_000)
        let count = 600
        for start in stride(from: 0, to: count, by: 20) {
            try await site.feeder.post((start..<start + 20).map { "\($0)\(filling)" }, to: "room")
            #expect(quick.readPosts(start + 20).count == start + 20)
        }
        // The gateway may be behind the feeder.
        try await until { await site.metric("carillon_gateway_catch_ups_total") >= 1 }
        let posts = slow.readPosts(count)
        #expect(posts.map { $0.split(separator: " ").last } == (1...count).map { "\($0)" })
        try await site.feeder.post(["live"], to: "room")
        #expect(slow.readPosts(count + 1).last == "live \(count + 1)" && quick.readPosts(count + 1).last == "live \(count + 1)")
        #expect(slow.tidings.isEmpty)
        await site.stop()
    }

    /// Who has paused gets nothing of the channel, and after it all that came meanwhile.
    @Test func aPauseHoldsPostsBack() async throws {
        let site = try await Deployment(["PAGE_ENTRIES": "4"])
        let (tab, other) = (try watcher(site, "tab"), try watcher(site, "other"))
        tab.send(#"{"id":3,"rpc":{"method":"pause"}}"#)
        #expect(tab.reply(3)["rpc"] != nil)
        for number in 1...10 { try await site.feeder.post(["\(number)"], to: "room") }
        #expect(other.readPosts(10).count == 10)
        tab.send(#"{"id":4,"presence_stats":{"channel":"channel:room"}}"#)
        #expect(tab.reply(4)["presence_stats"] != nil && tab.posts.isEmpty)
        tab.send(#"{"id":5,"rpc":{"method":"resume"}}"#)
        #expect(tab.readPosts(10) == (1...10).map { "\($0) \($0)" } && tab.reply(5)["rpc"] != nil)
        try await site.feeder.post(["live"], to: "room")
        #expect(tab.readPosts(11).last == "live 11" && other.readPosts(11).last == "live 11")
        await site.stop()
    }

    /// Trimmed while she did not read: she is told so and begins again.
    @Test func whatWasTrimmedMeanwhileIsSaid() async throws {
        let site = try await Deployment(["SEND_BUFFER_BYTES": "8KB"])
        let slow = try watcher(site, "slow", receiveBuffer: 4096)
        let filling = String(repeating: "x", count: 4_000)
        for start in 0..<75 {
            try await site.feeder.post((0..<20).map { "\(start * 20 + $0)\(filling)" }, to: "room")
        }
        #expect(slow.read { $0.tidings == ["unsubscribe 2500"] })
        slow.subscribe(3, "room", #","recover":true,"epoch":"\#(slow.subscribed(2)["epoch"] as? String ?? "")","offset":1"#)
        #expect(slow.subscribed(3)["recovered"] as? Bool == false && slow.subscribed(3)["offset"] as? Int == 1_500)
        await site.stop()
    }

    /// A stream that is no more: every watcher subscribes again. A note without a watcher is removed.
    @Test func aChannelThatWasForgottenBeginsAnew() async throws {
        let site = try await Deployment()
        let bob = try watcher(site, "bob")
        try await site.feeder.post(["a"], to: "room")
        #expect(bob.readPosts(1) == ["a 1"])
        try site.redis.cli("DEL", "channel:{room}", "channel:{room}:state")
        try await site.feeder.post(["b"], to: "room")
        #expect(bob.read { $0.tidings == ["unsubscribe 2500"] })
        bob.subscribe(3, "room")
        #expect(bob.subscribed(3)["offset"] as? Int == 1)
        try await site.feeder.post(["c"], to: "room")
        #expect(bob.readPosts(2).last == "c 2")

        let instance = try site.redis.cli("HKEYS", "gateways")
        try site.redis.cli("HSET", "channel:{ghost}:watchers", instance, "3")
        try await site.feeder.post(["x"], to: "ghost")
        try await until { try site.redis.cli("EXISTS", "channel:{ghost}:watchers") == "0" }
        await site.stop()
    }

    /// A lease is a counter that advances: when its counter is gone, the gateway notes all watchers under its new name.
    @Test func aNewEpochNotesAllWatchersAnew() async throws {
        let site = try await Deployment()
        let peers = try (0..<5).map { try watcher(site, "p\($0)") }
        try await site.feeder.post(["before"], to: "room")
        for peer in peers { #expect(peer.readPosts(1) == ["before 1"]) }
        let former = try site.redis.cli("HKEYS", "gateways")
        try site.redis.cli("HDEL", "gateways", former)
        try await until {
            let present = try site.redis.cli("HKEYS", "channel:{room}:watchers")
            return present != former && !present.isEmpty && !present.contains("\n")
        }
        let present = try site.redis.cli("HKEYS", "channel:{room}:watchers")
        try await until { try site.redis.cli("HLEN", "channel:{room}:presence:\(present)") == "5" }
        try await until { try site.redis.cli("EXISTS", "channel:{room}:presence:\(former)", "watching:{\(former)}") == "0" }
        #expect(try site.redis.cli("HGET", "channel:{room}:people", "p1") == "1")
        try await site.feeder.post(["after"], to: "room")
        for peer in peers { #expect(peer.readPosts(2) == ["before 1", "after 2"] && peer.tidings.isEmpty) }
        peers[0].socket.close()
        try await until { try site.redis.cli("HGET", "channel:{room}:watchers", present) == "4" }
        await site.stop()
    }

    /// A Redis that comes back without what it had acknowledged is told again who watches.
    @Test func aRestartedRedisThatLacksWatchersGetsThemAgain() async throws {
        let site = try await Deployment()
        let peers = try (0..<3).map { try watcher(site, "p\($0)") }
        let before = try site.redis.cli("HKEYS", "channel:{room}:watchers")
        try site.redis.cli("DEL", "channel:{room}:watchers", "channel:{room}:people", "channel:{room}:presence:\(before)")
        site.redis.stop()
        try site.redis.start()
        try await until { try site.redis.cli("HGETALL", "channel:{room}:watchers") == "\(before)\n3" }
        #expect(try site.redis.cli("HLEN", "channel:{room}:people") == "3")
        peers[0].socket.close()
        try await until { try site.redis.cli("HGET", "channel:{room}:watchers", before) == "2" }
        try await until { (try? await site.feeder.post(["after"], to: "room")) != nil }
        for peer in peers[1...] { #expect(peer.readPosts(1) == ["after 1"] && peer.tidings.isEmpty) }
        await site.stop()
    }

    @Test func aDrainLeavesNothing() async throws {
        let site = try await Deployment()
        let bob = try watcher(site, "bob")
        await site.host.drain()
        #expect(bob.read { $0.closeCode == 3001 })
        #expect(try site.redis.cli("KEYS", "watching:*") == "")
        #expect(try site.redis.cli("KEYS", "channel:{room}:[wplo]*") == "")
        site.redis.stop()
    }
}
