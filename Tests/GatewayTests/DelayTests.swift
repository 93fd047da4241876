import EventLoop
import Foundation
import Models
import Store
import TestSupport
import Testing

@testable import Gateway

/// How late a notification is counts from its event's record in Kafka, whatever it waited for on the way.
@Suite(.blocking, .serialized, .timeLimit(.minutes(10))) struct DelayTests {
    private func count(
        _ site: Deployment, _ priority: String, _ transport: String = "websocket", within seconds: String? = nil
    ) async -> Double {
        let labels = #"priority="\#(priority)",transport="\#(transport)""#
        let name = "carillon_gateway_delivery_delay_seconds"
        return await site.metric(seconds.map { #"\#(name)_bucket{\#(labels),le="\#($0)"}"# } ?? "\(name)_count{\(labels)}")
    }

    private func connected(_ site: Deployment, _ token: String) throws -> WebSocketPeer {
        let peer = try #require(WebSocketPeer(site.port))
        peer.connect(token)
        #expect(peer.read { !$0.replies.isEmpty })
        return peer
    }

    /// Twenty payments that stood in Kafka for 15 s before anybody read them.
    @Test func latenessOfTheConsumersShows() async throws {
        let site = try await Deployment()
        let bob = try connected(site, token("bob"))
        let stream = try #require(EventPeer(site.port, headers: "Authorization: Bearer \(token("bob"))\r\n"))
        #expect(stream.next()?.contains("connected") == true)
        let late = EventLoop.wallClock() - 15_000
        let titles = (1...20).map { "\($0)" }
        try await site.feeder.deliver(titles, to: "bob", priority: "high", accepted: late)
        // A clock that is ahead of ours makes no delay, and never takes one away.
        try await site.feeder.deliver(["now"], to: "bob", priority: "low", accepted: EventLoop.wallClock() + 3_600_000)
        #expect(bob.readTitles(21) == titles + ["now"])
        for _ in 1...21 { #expect(stream.next()?.hasPrefix("id: ") == true) }
        for transport in ["websocket", "sse"] {
            #expect(await count(site, "high", transport) == 20)
            #expect(await count(site, "high", transport, within: "10") == 0)
            #expect(await count(site, "low", transport) == 1)
            #expect(await count(site, "low", transport, within: "0.001") == 1)
            #expect(await count(site, "normal", transport) == 0)
        }
        await site.stop()
    }

    /// A hint is lost, and the inbox is read for it: late by our doing. What waited for a newcomer is not.
    @Test func whatAPageBringsCounts() async throws {
        let site = try await Deployment()
        try await site.feeder.deliver(["before"], to: "bob", accepted: EventLoop.wallClock())
        let position = try await site.feeder.deliver(["old"], to: "bob", accepted: EventLoop.wallClock())
        let bob = try #require(WebSocketPeer(site.port))
        bob.connect(token("bob"), epoch: "\(position.epoch)", offset: 0)
        #expect(bob.readTitles(2) == ["before", "old"])
        #expect(await count(site, "normal") == 0)
        try await site.feeder.deliver(["lost"], to: "bob", publishes: false, priority: "low", accepted: EventLoop.wallClock())
        // Its offset is two behind what the session has: the inbox is read.
        try await site.feeder.deliver(["next"], to: "bob", accepted: EventLoop.wallClock())
        #expect(bob.readTitles(4) == ["before", "old", "lost", "next"])
        #expect(await count(site, "low") == 1)
        #expect(await count(site, "normal") == 1)
        await site.stop()
    }

    /// A client that has paused is late by her own wish.
    @Test func whatAClientKeepsBackDoesNotCount() async throws {
        let site = try await Deployment()
        let bob = try connected(site, token("bob"))
        #expect(bob.call("window", #"{"size":1}"#) != nil)
        let delivered = try await site.feeder.deliver(["a", "b"], to: "bob", accepted: EventLoop.wallClock() - 1)
        #expect(bob.readTitles(1) == ["a"])
        #expect(bob.call("ack", #"{"epoch":"\#(delivered.epoch)","offset":1}"#) != nil)
        #expect(bob.readTitles(2) == ["a", "b"])
        #expect(await count(site, "normal") == 1)
        await site.stop()
    }

    @Test func postsOfChannelsCountForEachWatcher() async throws {
        let site = try await Deployment()
        let peers = try ["ann", "bob"].map { try connected(site, channelToken($0, ["room"])) }
        for peer in peers {
            peer.subscribe(2, "room")
            #expect(peer.subscribed(2)["epoch"] != nil)
        }
        try await site.feeder.post(["a", "b"], to: "room", priority: "high", accepted: EventLoop.wallClock() - 2_000)
        for peer in peers { #expect(peer.readPosts(2) == ["a 1", "b 2"]) }
        #expect(await count(site, "high") == 4)
        #expect(await count(site, "high", within: "1") == 0)
        #expect(await site.metric("carillon_gateway_channel_deliveries_total") == 4)
        await site.stop()
    }
}
