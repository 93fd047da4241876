import Models
import Store
import StoreTestSupport
import TestSupport
import Testing

/// What `CombinedStore` promises, in one step and in two.
@Suite(.blocking) struct CombinedStoreContract {
    private let bob = PersonID("acme/bob")!
    private let instance = InstanceID(name: "g", epoch: 9)!

    private func connection(_ index: UInt32) -> ConnectionID { ConnectionID(instance: instance, index: index, generation: 1) }

    @Test(arguments: StoreForm.all) func deliversAndRegisters(_ kind: StoreKind, _ form: StoreForm) async throws {
        let store = try await ContractStore(kind, form)
        func register(_ index: UInt32, from start: InboxStart) async throws -> InboxPage {
            try await store.ask {
                $0.combined.register(
                    connection(index), of: bob, device: "d", transport: .websocket, from: start, limit: 10, bytes: 1 << 20, reply: $1)
            }
        }
        // Who registers before anything was delivered loses nothing of what comes.
        let first = try await register(1, from: .present)
        #expect(first.state.epoch > 0 && first.state.offset == 0)
        let delivered = try await store.ask { $0.combined.deliver([delivery(1), delivery(2)], to: bob, reply: $1) }
        #expect(delivered.epoch == first.state.epoch && delivered.unread == 2 && delivered.entries.map(\.offset) == [1, 2])
        #expect(delivered.routes == [Array(connection(1).description.utf8)])
        let second = try await register(2, from: .after(first.state.position))
        #expect(second.recovered && second.entries.map(\.offset) == [1, 2])
        // A repetition answers what is routed now.
        let again = try await store.ask { $0.combined.deliver([delivery(2)], to: bob, reply: $1) }
        #expect(again.entries == [.init(isFresh: false, offset: 2)] && again.routes.count == 2)
        let read = try await store.ask { $0.combined.change(.read(.ids([notificationID(1)])), of: bob, reply: $1) }
        #expect(read.counts == InboxCounts(unread: 1, revision: 1) && Set(read.routes) == Set(again.routes))
        let unread = try await store.ask { $0.combined.change(.unread([notificationID(1)]), of: bob, reply: $1) }
        #expect(unread.counts == InboxCounts(unread: 2, revision: 2))
        let archived = try await store.ask { $0.combined.change(.archive([notificationID(1)]), of: bob, reply: $1) }
        #expect(archived.counts == InboxCounts(unread: 1, revision: 3))
        await store.stop()
    }

    /// Deliveries and registrations that meet in every way: one of the two sees the other.
    @Test(arguments: StoreForm.all) func nothingFallsBetweenTheTwo(_ kind: StoreKind, _ form: StoreForm) async throws {
        let store = try await ContractStore(kind, form)
        let instance = instance
        var random = SeededGenerator(seed: TestSeed.announced())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<400 as Range<UInt32> {
                let person = PersonID("p\(index)")!
                let connection = ConnectionID(instance: instance, index: index, generation: 1)
                let (one, other) = (Int.random(in: 0...3, using: &random), Int.random(in: 0...3, using: &random))
                group.addTask {
                    async let delivered = store.ask(after: one) {
                        $0.combined.deliver([delivery(1)], to: person, reply: $1)
                    }
                    async let page = store.ask(after: other) {
                        $0.combined.register(
                            connection, of: person, device: "d", transport: .sse, from: .floor, limit: 10, bytes: 1 << 20, reply: $1)
                    }
                    let isRouted = try await !delivered.routes.isEmpty
                    let isRead = try await page.entries.map(\.offset) == [1]
                    #expect(isRouted || isRead, "\(person.text): after \(one) and \(other) ms")
                }
            }
            try await group.waitForAll()
        }
        await store.stop()
    }
}
