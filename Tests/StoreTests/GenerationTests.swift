import Models
import Redis
import TestSupport
import Testing

@testable import Store

@Suite(.blocking) struct GenerationTests {
    let bob = PersonID("bob")!

    /// Answers on one client after another, as a process that reconnects.
    private func reconnect(_ witness: Witness, _ server: RedisServer, deliver: Int? = nil) async throws -> Delivered? {
        let store = TestStore(server, witness: witness)
        #expect(await store.start() == .up)
        var delivered: Delivered?
        if let deliver { delivered = try await store.deliver([delivery(deliver)], to: bob) }
        await store.stop()
        return delivered
    }

    /// What one writer saw acknowledged is gone: it raises the generation, once, and others take it over.
    @Test func aLostWriteRaisesTheGenerationOnce() async throws {
        let server = try RedisServer()
        let (worker, newcomer) = (Witness(), Witness())
        let first = try #require(try await reconnect(worker, server, deliver: 1))
        try server.keep(as: "older")
        _ = try await reconnect(worker, server, deliver: 2)
        #expect(worker.generation == 0)
        _ = try await reconnect(newcomer, server)
        try server.restore("older")
        for _ in 0..<2 {
            _ = try await reconnect(worker, server)
            _ = try await reconnect(newcomer, server)
            #expect(worker.generation == 1 && newcomer.generation == 1)
        }
        // An older generation than is known is an older state as well.
        try server.restore("older")
        _ = try await reconnect(newcomer, server)
        #expect(newcomer.generation == 2)

        // The inbox goes on under a later epoch, with its entries, offsets and marks.
        let store = TestStore(server, witness: newcomer)
        #expect(await store.start() == .up)
        let position = StreamPosition(epoch: first.epoch, offset: 1)
        let acknowledged = try await store.inbox { $0.acknowledge(.upTo(position), of: bob, reply: $1) }
        #expect(acknowledged.offset == 0)
        let lost = try await store.page(of: bob, from: .after(position), limit: 10)
        #expect(!lost.recovered && lost.state.epoch > first.epoch && lost.state.offset == 1)
        let all = try await store.page(of: bob, from: .floor, limit: 10)
        #expect(all.entries.map(\.bytes) == [delivery(1).bytes] && all.state.epoch == lost.state.epoch)
        let again = try await store.deliver([delivery(1), delivery(2)], to: bob)
        #expect(again.entries == [.init(isFresh: false, offset: 1), .init(isFresh: true, offset: 2)])
        let audit = try await store.inbox { $0.audit(of: bob, reply: $1) }
        #expect(audit?.drifts == [] && audit?.foreign == 0 && audit?.entries == 2)
        let now = StreamPosition(epoch: again.epoch, offset: 1)
        #expect(try await store.page(of: bob, from: .after(now), limit: 10).recovered)
        await store.stop()
    }

    @Test func channelsBelongToAGenerationToo() async throws {
        let server = try RedisServer()
        let witness = Witness()
        let store = TestStore(server, witness: witness)
        #expect(await store.start() == .up)
        let general = ChannelID("general")!
        let posted = try await store.channel { $0.append([delivery(1), delivery(2)], to: general, reply: $1) }
        #expect(try await store.gateway { $0.raiseGeneration(reply: $1) } == 1)
        let instance = InstanceID(name: "g", epoch: 1)!
        try await store.gateway { $0.enrol(instance, reply: $1) }
        _ = try await store.gateway { $0.renew(instance, reply: $1) }
        #expect(witness.generation == 1)
        let start = InboxStart.after(StreamPosition(epoch: posted.epoch, offset: 2))
        let page = try await store.channel { $0.page(of: general, from: start, limit: 10, reply: $1) }
        #expect(!page.recovered && page.state.offset == 2)
        let all = try await store.channel { $0.page(of: general, from: .floor, limit: 10, reply: $1) }
        #expect(all.entries.map(\.offset) == [1, 2] && all.state.epoch > posted.epoch)
        await store.stop()
    }
}
