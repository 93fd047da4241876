import Foundation
import Store
import TestSupport
import Testing

@testable import Gateway

/// A Redis that comes back older than what it had acknowledged: nobody is told that nothing was lost.
@Suite(.blocking, .serialized, .timeLimit(.minutes(5))) struct RecoveryTests {
    private func connected(_ site: Deployment, _ person: String, _ epoch: UInt64? = nil, _ offset: Int = 0) throws -> WebSocketPeer {
        let peer = try #require(WebSocketPeer(site.port))
        peer.connect(token(person), epoch: epoch.map(String.init), offset: offset)
        #expect(peer.read { !$0.replies.isEmpty || $0.closeCode != nil })
        return peer
    }

    private func beats(_ site: Deployment) throws -> Int {
        Int(try site.redis.cli("HGET", "generation", "beats")) ?? 0
    }

    /// The numbers of what is lost are filled by others before anybody looks.
    @Test func aCursorOfBeforeIsNotRecoveredThoughItsNumbersAreFilled() async throws {
        let site = try await Deployment()
        let live = try connected(site, "live")
        let old = try await site.feeder.deliver(["1", "2"], to: "bob")
        try site.redis.keep(as: "older")
        try await until { await site.feeder.isUp }
        let kept = try beats(site)
        #expect(try await site.feeder.deliver(["3", "4", "5"], to: "bob").entries.last?.offset == 5)
        try await until { try beats(site) > kept }
        // A restart alone loses nothing, and nobody is told that it did.
        let bob = try connected(site, "bob", old.epoch, 1)
        #expect(bob.inbox["recovered"] as? Bool == true && bob.readTitles(4) == ["2", "3", "4", "5"])
        #expect(live.closeCode == nil && site.log.count("Redis was set back") == 0)

        try site.redis.restore("older")
        try await until { await site.feeder.isUp }
        let filled = try await site.feeder.deliver(["a", "b", "c", "d", "e"], to: "bob")
        #expect(filled.entries.last?.offset == 7)
        // Who stayed connected is told, as is who comes back with his cursor.
        #expect(bob.read { $0.closeCode == 3010 } && live.read { $0.closeCode == 3010 })
        try await until { await site.http("GET", "/v1/inbox", ["Authorization": "Bearer \(token("bob"))"]).status == 200 }
        let again = try connected(site, "bob", old.epoch, 5)
        #expect(again.inbox["recovered"] as? Bool == false)
        #expect(site.log.count("Redis was set back") == 1)
        // What is there is kept, under the epoch of the new generation, and goes on from there.
        let position = try #require(again.inbox["epoch"] as? String)
        let next = try await site.feeder.deliver(["f"], to: "bob")
        #expect(next.entries[0].offset == 8 && String(next.epoch) == position && again.readTitles(1) == ["f"])
        let last = try connected(site, "bob", next.epoch, 0)
        #expect(last.inbox["recovered"] as? Bool == true)
        #expect(last.readTitles(8) == ["1", "2", "a", "b", "c", "d", "e", "f"])
        await site.stop()
    }

    /// An operator knows of a loss that no service can see.
    @Test func anOperatorRaisesTheGeneration() async throws {
        let site = try await Deployment()
        let old = try await site.feeder.deliver(["1"], to: "bob")
        let bob = try connected(site, "bob", old.epoch, 1)
        #expect(bob.inbox["recovered"] as? Bool == true)
        try site.redis.cli("HINCRBY", "generation", "number", "1")
        #expect(bob.read { $0.closeCode == 3010 })
        #expect(try connected(site, "bob", old.epoch, 1).inbox["recovered"] as? Bool == false)
        await site.stop()
    }
}
