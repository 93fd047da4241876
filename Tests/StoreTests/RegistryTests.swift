import EventLoop
import Models
import Redis
import Store
import TestSupport
import Testing
import Tokens

@Suite(.blocking) struct RegistryTests {
    let bob = PersonID("bob")!
    let ann = PersonID("ann with blanks")!

    @Test func refusesAnotherNumberOfShards() async throws {
        let server = try RedisServer()
        let first = TestStore(server)
        #expect(await first.start() == .up)
        let second = TestStore(server, shards: 32)
        #expect(await second.start() == .refused(reason: "the data was written with SHARDS=64, and SHARDS is 32"))
        let elsewhere = TestStore(server, namespace: "staging", shards: 32)
        #expect(await elsewhere.start() == .up)
        for store in [first, second, elsewhere] { await store.stop() }
    }

    @Test func routesComeAndGo() async throws {
        let server = try RedisServer()
        let store = TestStore(server, namespace: "ns")
        #expect(await store.start() == .up)
        let dead = InstanceID(name: "gateway-1", epoch: 1)!
        let alive = InstanceID(name: "gateway-1", epoch: 2)!
        func connection(_ instance: InstanceID, _ index: UInt32) -> ConnectionID {
            ConnectionID(instance: instance, index: index, generation: 7)
        }
        _ = try await store.deliver([delivery(1), delivery(2)], to: bob)
        let page = try await store.register(connection(dead, 1), of: bob, from: .floor)
        #expect(page.entries.map(\.offset) == [1, 2] && page.state.unread == 2)
        _ = try await store.register(connection(dead, 1), of: bob)
        _ = try await store.register(connection(dead, 2), of: bob)
        _ = try await store.register(connection(alive, 1), of: bob)
        _ = try await store.register(connection(dead, 3), of: ann)
        #expect(try await store.connections(of: [ann, PersonID("nobody")!, bob]) == [1, 0, 3])
        #expect(try await store.unregister(connection(dead, 9), of: bob) == 3)
        #expect(try await store.unregister(connection(dead, 2), of: bob) == 2)
        // One at a time, and by two sweepers at once.
        for shard in 0..<64 {
            var left = 1
            while left > 0 {
                async let one = store.sweep(dead, shard: shard, limit: 1)
                async let other = store.sweep(dead, shard: shard, limit: 1)
                left = try await one + other
            }
        }
        #expect(try await store.connections(of: [ann, bob]) == [0, 1])
        let keys = try server.cli("KEYS", "ns:connections:*").split(separator: "\n")
        #expect(keys.count == 1 && keys[0].hasSuffix(alive.text))
        await store.stop()
    }

    /// With the lease the numbers of batches begin and end; what else holds of them is in `RouterTests`.
    @Test func leasesAdvanceAndBatchesAreNumbered() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let instance = InstanceID(name: "g", epoch: 10)!
        #expect(try await store.gateway { $0.renew(instance, reply: $1) } == .gone)
        let absent = try await store.router { $0.publish(Array("x\n".utf8), to: instance, reply: $1) }
        #expect(absent == Published(sequence: 0, receivers: 0))
        try await store.gateway { $0.enrol(instance, reply: $1) }
        #expect(try await store.gateway { $0.renew(instance, reply: $1) } == .renewed(count: 1, sequence: 0))
        let lines = Array("[[\"1.2\",\"5-6\",7]]\n{}\n".utf8)
        #expect(try await store.router { $0.publish(lines, to: instance, reply: $1) } == Published(sequence: 1, receivers: 0))
        #expect(try await store.router { $0.publish(lines, to: instance, reply: $1) } == Published(sequence: 2, receivers: 0))
        #expect(try await store.gateway { $0.renew(instance, reply: $1) } == .renewed(count: 2, sequence: 2))
        #expect(try await store.gateway { $0.leases(reply: $1) } == [Lease(instance: instance, count: 2)])
        #expect(try await store.gateway { $0.condemn(instance, ifCountIs: 1, reply: $1) } == false)
        #expect(try await store.gateway { $0.condemn(instance, ifCountIs: 2, reply: $1) })
        // Dead is dead, also if it was only asleep.
        #expect(try await store.gateway { $0.renew(instance, reply: $1) } == .gone)
        #expect(try await store.gateway { $0.condemn(instance, ifCountIs: 7, reply: $1) })
        #expect(try await store.gateway { $0.leases(reply: $1) } == [Lease(instance: instance, count: nil)])
        try await store.gateway { $0.withdraw(instance, reply: $1) }
        try await store.gateway { $0.withdraw(instance, reply: $1) }
        #expect(try await store.gateway { $0.leases(reply: $1) }.isEmpty)
        #expect(try server.cli("KEYS", "gateway*") == "")
        await store.stop()
    }

    @Test func audiencesAreReadInPages() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let people = (0..<250).map { PersonID("p\($0)")! }
        #expect(try await store.audience { $0.add(people, to: "channel:general", reply: $1) } == 250)
        #expect(try await store.audience { $0.add([people[3]], to: "channel:general", reply: $1) } == 250)
        #expect(try await store.audience { $0.remove(Array(people[0..<50]), from: "channel:general", reply: $1) } == 200)
        #expect(try await store.audience { $0.remove([], from: "channel:other", reply: $1) } == 0)
        var seen: [PersonID] = []
        while true {
            let page = try await store.audience { $0.members(of: "channel:general", after: seen.last, limit: 64, reply: $1) }
            seen += page.members
            if page.isLast { break }
        }
        #expect(seen.map(\.text) == people[50...].map(\.text).sorted())
        await store.stop()
    }

    @Test func aTokenBelongsToOnePerson() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let phone = Device(token: "abc", platform: "apns", app: "com.example|x", environment: "sandbox")
        _ = try await store.device { $0.put(phone, of: bob, limit: 20, reply: $1) }
        let listed = try await store.device { $0.list(of: bob, reply: $1) }
        #expect(listed.count == 1 && listed[0].app == phone.app && listed[0].environment == "sandbox")
        let at = listed[0].registeredAt
        let bobs = try server.cli("KEYS", "devices:*")
        #expect(at > 1_600_000_000_000)
        _ = try await store.device { $0.put(phone, of: ann, limit: 20, reply: $1) }
        #expect(try await store.device { $0.list(of: bob, reply: $1) }.isEmpty)
        #expect(try await store.device { $0.list(of: ann, reply: $1) }.count == 1)
        // A former owner's leftover is not listed, and his removal does not take it from her.
        try server.cli("HSET", bobs, "abc", "1|apns|x|y")
        try await store.device { $0.delete("abc", of: bob, reply: $1) }
        #expect(try await store.device { $0.list(of: ann, reply: $1) }.count == 1)
        #expect(try await store.device { $0.delete("abc", of: ann, unlessNewerThan: at - 1, reply: $1) } == false)
        #expect(try await store.device { $0.delete("abc", of: ann, unlessNewerThan: .max, reply: $1) })
        #expect(try await store.device { $0.list(of: ann, reply: $1) }.isEmpty)
        #expect(try server.cli("KEYS", "device*") == "")
        await store.stop()
    }

    /// Rows of versions that knew a token in two cases as two devices.
    @Test func rowsOfOneTokenAreMergedWhenTheyAreTouched() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        func phone(_ token: String) -> Device { Device(token: token, platform: "apns", app: "", environment: "sandbox") }
        func owner(_ token: String) -> String { "device:" + hexadecimal(sha256(Array(token.utf8))) }
        _ = try await store.device { $0.put(phone("zz"), of: bob, limit: 20, reply: $1) }
        let bobs = try server.cli("KEYS", "devices:*")
        for (token, at) in [("AB", 5), ("aB", 7)] {
            try server.cli("HSET", bobs, token, "\(at)|apns|production|app\(at)")
            try server.cli("SET", owner(token), "bob")
        }
        let listed = try await store.device { $0.list(of: bob, reply: $1) }
        #expect(Set(listed.map(\.token)) == ["ab", "zz"])
        #expect(listed.first { $0.token == "ab" }?.app == "app7")
        #expect(Set(try server.cli("HKEYS", bobs).split(separator: "\n")) == ["ab", "zz"])
        #expect(try server.cli("GET", owner("ab")) == "bob" && server.cli("EXISTS", owner("AB"), owner("aB")) == "0")

        // What another person has registered since is nobody else's, in whatever case he had it; and a new registration merges too.
        _ = try await store.device { $0.put(phone("ab"), of: ann, limit: 20, reply: $1) }
        try server.cli("HSET", bobs, "AB", "5|apns|production|app5")
        try server.cli("SET", owner("AB"), "bob")
        #expect(try await store.device { $0.list(of: bob, reply: $1) }.map(\.token) == ["zz"])
        #expect(try server.cli("HKEYS", bobs) == "zz" && server.cli("EXISTS", owner("AB")) == "0")
        try server.cli("HSET", bobs, "CD", "5|apns|production|app5")
        try server.cli("SET", owner("CD"), "bob")
        #expect(try await store.device { $0.put(phone("cD"), of: bob, limit: 2, reply: $1) } == 0)
        #expect(Set(try server.cli("HKEYS", bobs).split(separator: "\n")) == ["cd", "zz"])
        try await store.device { $0.delete("CD", of: bob, reply: $1) }
        #expect(try server.cli("HKEYS", bobs) == "zz" && server.cli("EXISTS", owner("CD"), owner("cd")) == "0")
        await store.stop()
    }

    @Test func whatWasPushedIsRemembered() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let (first, second) = (NotificationID(digest: Array(0..<16)), NotificationID(digest: Array(1..<17)))
        for token in ["a", "b"] {
            let phone = Device(token: token, platform: "apns", app: "", environment: "sandbox")
            _ = try await store.device { $0.put(phone, of: bob, limit: 20, reply: $1) }
        }
        func sent(_ id: NotificationID) async throws -> [String] {
            try await store.device { $0.targets(of: bob, for: id, reply: $1) }.filter(\.isSent).map(\.device.token)
        }
        #expect(try await sent(first).isEmpty)
        try await store.device { $0.remember(first, sentTo: "a", of: bob, reply: $1) }
        #expect(try await sent(first) == ["a"])
        #expect(try await sent(second).isEmpty)
        // In the bucket before and, where the clock was set back, in the one ahead.
        let key = try server.cli("KEYS", "sent:*")
        let parts = key.split(separator: ":").map(String.init)
        let bucket = try #require(Int(parts[parts.count - 1]))
        for other in [bucket - 1, bucket + 1] {
            let moved = (parts.dropLast() + ["\(other)"]).joined(separator: ":")
            try server.cli("RENAME", try server.cli("KEYS", "sent:*"), moved)
            #expect(try await sent(first) == ["a"])
        }
        // It goes at the end of the bucket after its own.
        try await store.device { $0.remember(second, sentTo: "a", of: bob, reply: $1) }
        let window = InboxLimits().dedupWindow
        #expect(try server.cli("PEXPIRETIME", key) == "\((Int64(bucket) + 2) * window)")
        await store.stop()
    }

    @Test func aPersonKeepsTheNewestDevicesWhateverComesAtOnce() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        func phone(_ number: Int) -> Device { Device(token: "t\(number)", platform: "apns", app: "", environment: "sandbox") }
        for number in 1...2 { #expect(try await store.device { $0.put(phone(number), of: bob, limit: 3, reply: $1) } == 0) }
        // Ten at the same time: a look before each write would have let them all in.
        let removed = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 3...12 { group.addTask { try await store.device { $0.put(phone(number), of: bob, limit: 3, reply: $1) } } }
            return try await group.reduce(0, +)
        }
        #expect(removed == 9)
        #expect(try await store.device { $0.list(of: bob, reply: $1) }.count == 3)
        #expect(try await store.device { $0.put(phone(13), of: bob, limit: 3, reply: $1) } == 1)
        #expect(try await store.device { $0.list(of: bob, reply: $1) }.contains { $0.token == "t13" })
        // One that is there already takes nobody's place.
        #expect(try await store.device { $0.put(phone(13), of: bob, limit: 3, reply: $1) } == 0)
        // A smaller limit than before holds from the next one on.
        #expect(try await store.device { $0.put(phone(14), of: bob, limit: 1, reply: $1) } == 3)
        #expect(try await store.device { $0.list(of: bob, reply: $1) }.map(\.token) == ["t14"])
        // Whoever went belongs to nobody.
        #expect(try server.cli("KEYS", "device:*").split(separator: "\n").count == 1)
        await store.stop()
    }

    @Test func ticketsAreTakenOnce() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let ticket = Ticket(
            person: ann, expires: 4_000_000_000, channels: ["a", "\"b\""], info: Array(#"{"name":"Ann","n":[1.50]}"#.utf8),
            device: "phone\n")
        let start = ContinuousClock.now
        try await store.ticket { $0.create("t1", ticket, lifetime: .seconds(300), reply: $1) }
        let ttl = Int(try server.cli("PTTL", "tickets:t1")) ?? 0
        #expect(ttl <= 300_000 && .milliseconds(300_000 - ttl) <= ContinuousClock.now - start + .milliseconds(10))
        let read = try #require(try await store.ticket { $0.read("t1", reply: $1) })
        #expect(read.ticket == ticket)
        var used = ticket
        used.start = StreamPosition(epoch: 5, offset: 6)
        used.connection = "g#0000000000000001.2.3"
        #expect(try await store.ticket { $0.replace("t1", read, with: used, reply: $1) })
        // Somebody else read the same before.
        #expect(try await store.ticket { $0.replace("t1", read, with: ticket, reply: $1) } == false)
        #expect(try await store.ticket { $0.read("t1", reply: $1) }?.ticket == used)
        #expect(Int(try server.cli("TTL", "tickets:t1")) ?? 0 > 1_000_000)
        #expect(try await store.ticket { $0.take("t1", reply: $1) } == used)
        #expect(try await store.ticket { $0.take("t1", reply: $1) } == nil)
        #expect(try await store.ticket { $0.replace("t1", read, with: ticket, reply: $1) } == false)
        await store.stop()
    }
}
