import Models
import Store
import StoreTestSupport
import TestSupport
import Testing

/// What `Registry` promises, held on each store.
@Suite(.blocking) struct RegistryContract {
    private let bob = PersonID("bob")!
    private let ann = PersonID("ann with blanks")!
    private let dead = InstanceID(name: "gateway-1", epoch: 1)!
    private let live = InstanceID(name: "gateway-1", epoch: 2)!
    private let general = ChannelID("general")!

    private func connection(_ instance: InstanceID, _ index: UInt32) -> ConnectionID {
        ConnectionID(instance: instance, index: index, generation: 7)
    }

    private func watcher(_ instance: InstanceID, _ index: UInt32, _ person: String) -> Watcher {
        Watcher(connection: connection(instance, index), person: PersonID(person)!, info: Array(#"{"user":"\#(person)"}"#.utf8))
    }

    @Test(arguments: StoreKind.allCases) func routesComeAndGo(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        func add(_ connection: ConnectionID, _ person: PersonID) async throws {
            try await store.ask { $0.routes.add(connection, of: person, device: "d|x", transport: .sse, reply: $1) } as Void
        }
        for _ in 0..<2 { try await add(connection(dead, 1), bob) }
        try await add(connection(dead, 2), bob)
        try await add(connection(live, 1), bob)
        try await add(connection(dead, 3), ann)
        let routes = try await store.ask { $0.routes.routes(of: bob, reply: $1) }
        #expect(Set(routes) == Set([connection(dead, 1), connection(dead, 2), connection(live, 1)].map { Array($0.description.utf8) }))
        let asked = [ann, PersonID("nobody")!, bob, ann]
        #expect(try await store.ask { $0.routes.connections(of: asked, reply: $1) } == [1, 0, 3, 1])
        #expect(try await store.ask { $0.routes.connections(of: [], reply: $1) } == [])
        // A removal that does not match removes nothing.
        #expect(try await store.ask { $0.routes.unregister(connection(live, 2), of: bob, reply: $1) } == 3)
        for _ in 0..<2 { #expect(try await store.ask { $0.routes.unregister(connection(dead, 2), of: bob, reply: $1) } == 2) }
        var swept = 0
        for shard in 0..<64 {
            while true {
                async let one = store.ask { [dead] in $0.routes.sweep(dead, shard: shard, limit: 1, reply: $1) }
                async let other = store.ask { [dead] in $0.routes.sweep(dead, shard: shard, limit: 1, reply: $1) }
                let gone = try await one + other
                if gone == 0 { break }
                swept += gone
            }
        }
        #expect(swept >= 2)
        #expect(try await store.ask { $0.routes.connections(of: [ann, bob], reply: $1) } == [0, 1])
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func leasesAdvanceUntilTheyAreCondemned(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        func renew() async throws -> Renewal { try await store.ask { $0.leases.renew(dead, reply: $1) } }
        #expect(try await renew() == .gone)
        #expect(try await store.ask { $0.number(dead, $1) } == 0, "whoever has no lease has no numbers")
        try await store.ask { $0.leases.enrol(dead, reply: $1) } as Void
        #expect(try await renew() == .renewed(count: 1, sequence: 0))
        for number in 1...2 as ClosedRange<UInt64> { #expect(try await store.ask { $0.number(dead, $1) } == number) }
        #expect(try await renew() == .renewed(count: 2, sequence: 2))
        for read in 0..<2 {
            let leases = try await store.ask { read == 0 ? $0.leases.leases(reply: $1) : $0.leases.look(reply: $1) }
            #expect(leases == [Lease(instance: dead, count: 2)])
        }
        func condemn(_ count: UInt64) async throws -> Bool {
            try await store.ask { $0.leases.condemn(dead, ifCountIs: count, reply: $1) }
        }
        #expect(try await !condemn(1))
        #expect(try await condemn(2))
        #expect(try await renew() == .gone, "dead is dead, also if it was only asleep")
        #expect(try await condemn(9))
        #expect(try await store.ask { $0.leases.leases(reply: $1) } == [Lease(instance: dead, count: nil)])
        for _ in 0..<2 { try await store.ask { $0.leases.withdraw(dead, reply: $1) } as Void }
        #expect(try await store.ask { $0.leases.leases(reply: $1) }.isEmpty)
        #expect(try await condemn(2), "it is gone")
        #expect(try await store.ask { $0.number(dead, $1) } == 0)
        // Begun again, it counts from nothing.
        try await store.ask { $0.leases.enrol(dead, reply: $1) } as Void
        #expect(try await renew() == .renewed(count: 1, sequence: 0))
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func watchersComeAndGo(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        func watch(_ watchers: [Watcher], _ instance: InstanceID, _ count: Int, _ listeners: Int = 0) async throws -> Crowd {
            let count = WatcherCount(watchers: count, listeners: listeners)
            return try await store.ask { $0.watchers.watch(general, at: instance, watchers, count: count, reply: $1) }
        }
        let first = watcher(dead, 1, "ann")
        #expect(try await watch([first], dead, 1, 1) == Crowd(changed: 1, total: 1, listeners: [dead]))
        #expect(try await watch([first], dead, 1, 1) == Crowd(changed: 0, total: 1, listeners: [dead]), "repeated")
        let two = [watcher(live, 1, "ann"), watcher(live, 2, "bob")]
        #expect(try await watch(two, live, 2) == Crowd(changed: 2, total: 3, listeners: [dead]))
        let here = try await store.ask { $0.watchers.presence(of: general, limit: 3, reply: $1) }
        #expect(here.clients == 3 && here.people == 2)
        #expect(Set(here.watchers.map(\.info)) == Set((two + [first]).map(\.info)))
        let many = try await store.ask { $0.watchers.presence(of: general, limit: 2, reply: $1) }
        #expect(many.clients == 3 && many.people == 2 && many.watchers.isEmpty)
        func unwatch(_ watcher: Watcher, _ instance: InstanceID, _ count: Int) async throws -> Crowd {
            let count = WatcherCount(watchers: count, listeners: 0)
            return try await store.ask { $0.watchers.unwatch(general, at: instance, [watcher.connection], count: count, reply: $1) }
        }
        #expect(try await unwatch(watcher(live, 9, "ann"), live, 2).changed == 0, "what does not match is not removed")
        #expect(try await unwatch(two[1], live, 1) == Crowd(changed: 1, total: 2, listeners: [dead]))
        #expect(try await unwatch(first, dead, 0) == Crowd(changed: 1, total: 1, listeners: []))
        let left = try await store.ask { $0.watchers.presence(of: general, limit: 9, reply: $1) }
        #expect(left.clients == 1 && left.people == 1 && left.watchers.count == 1)
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func whatADeadInstanceWatchedIsSwept(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        let channels = (0..<60).map { ChannelID("c\($0)")! }
        for channel in channels {
            for instance in [dead, live] {
                let count = WatcherCount(watchers: 3, listeners: 1)
                let some = (0..<3 as Range<UInt32>).map { watcher(instance, $0, "p\($0)") }
                _ = try await store.ask { $0.watchers.watch(channel, at: instance, some, count: count, reply: $1) }
            }
        }
        // Cleaned, forgotten or swept: each takes what is the instance's own.
        try await store.ask { $0.watchers.clean(channels[0], of: dead, limit: 2, reply: $1) } as Void
        try await store.ask { $0.watchers.forget(channels[1], at: dead, reply: $1) } as Void
        var infos: [ChannelID: Int] = [:]
        var complete: [ChannelID: Int] = [:]
        while true {
            let swept = try await store.ask { $0.watchers.sweep(dead, limit: 2, reply: $1) }
            if swept.isEmpty { break }
            for each in swept {
                infos[each.channel, default: 0] += each.infos.count
                if each.isComplete { complete[each.channel, default: 0] += 1 }
                #expect(each.listeners == [live])
            }
        }
        #expect(infos.count == 58 && infos.values.allSatisfy { $0 == 3 } && complete.values.allSatisfy { $0 == 1 })
        for (index, clients) in [(0, 3), (1, 6), (2, 3)] {
            let here = try await store.ask { $0.watchers.presence(of: channels[index], limit: 9, reply: $1) }
            #expect(here.clients == clients && here.watchers.count == clients)
        }
        try await store.ask { $0.watchers.forgetAll(at: live, reply: $1) } as Void
        #expect(try await store.ask { $0.watchers.sweep(live, limit: 2, reply: $1) }.isEmpty)
        await store.stop()
    }
}
