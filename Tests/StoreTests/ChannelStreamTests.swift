import Models
import Redis
import Store
import TestSupport
import Testing

@Suite(.blocking) struct ChannelStreamTests {
    let general = ChannelID("general")!
    let one = InstanceID(name: "gateway-1", epoch: 1)!
    let two = InstanceID(name: "gateway-2", epoch: 2)!

    func watcher(_ instance: InstanceID, _ index: UInt32, _ person: String) -> Watcher {
        Watcher(
            connection: ConnectionID(instance: instance, index: index, generation: 1), person: PersonID(person)!,
            info: Array(#"{"user":"\#(person)|"}"#.utf8))
    }

    func count(_ watchers: Int, _ listeners: Int = 0) -> WatcherCount { WatcherCount(watchers: watchers, listeners: listeners) }

    @Test func aPostIsAppendedOnceAndTrimmed() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        var limits = ChannelLimits()
        limits.maxEntries = 5
        func append(_ numbers: ClosedRange<Int>) async throws -> Posted {
            try await store.channel(limits: limits) { $0.append(numbers.map { delivery($0) }, to: general, reply: $1) }
        }
        let first = try await append(1...3)
        #expect(first.entries.map(\.offset) == [1, 2, 3] && first.entries.allSatisfy(\.isFresh) && first.watchers.isEmpty)
        let again = try await append(2...5)
        #expect(again.epoch == first.epoch && again.entries.map(\.offset) == [2, 3, 4, 5])
        #expect(again.entries.map(\.isFresh) == [false, false, true, true])
        _ = try await append(6...8)
        let all = try await store.channel { $0.page(of: general, from: .floor, limit: 100, reply: $1) }
        #expect(all.entries.map(\.offset) == [4, 5, 6, 7, 8] && all.state.floor == 4 && all.isComplete)
        let after = StreamPosition(epoch: first.epoch, offset: 6)
        let next = try await store.channel { $0.page(of: general, from: .after(after), limit: 1, reply: $1) }
        #expect(next.recovered && next.entries.map(\.offset) == [7] && !next.isComplete)
        let back = try await store.channel { $0.page(of: general, from: .after(after), limit: 2, isReversed: true, reply: $1) }
        #expect(back.entries.map(\.offset) == [5, 4])
        let newest = try await store.channel { $0.page(of: general, from: .floor, limit: 2, isReversed: true, reply: $1) }
        #expect(newest.entries.map(\.offset) == [8, 7])
        for lost in [StreamPosition(epoch: first.epoch, offset: 2), StreamPosition(epoch: 7, offset: 6)] {
            let page = try await store.channel { $0.page(of: general, from: .after(lost), limit: 9, reply: $1) }
            #expect(!page.recovered && page.entries.isEmpty && page.state.offset == 8)
        }
        let none = try await store.channel { $0.page(of: ChannelID("none")!, from: .floor, limit: 9, reply: $1) }
        #expect(none.entries.isEmpty && none.state.epoch == 0)
        let ttl = Int(try server.cli("PTTL", "channel:{general}:state")) ?? 0
        #expect(ttl > 6 * 86_400_000 && ttl <= 7 * 86_400_000)
        await store.stop()
    }

    /// Makes a channel older than it is: all but the newest of its entries by the milliseconds given, and the epoch as well.
    static let ageScript = """
        local entries, by = redis.call('XRANGE', KEYS[1], '-', '+'), tonumber(ARGV[1])
        local epoch = string.format('%d', redis.call('HGET', KEYS[2], 'epoch') - by)
        redis.call('DEL', KEYS[1])
        for i, entry in ipairs(entries) do
          local fields = entry[2]
          for j = 1, #fields, 2 do
            if fields[j] == 't' and i < #entries then fields[j + 1] = string.format('%d', fields[j + 1] - by) end
          end
          redis.call('XADD', KEYS[1], epoch .. string.match(entry[1], '-%d+$'), unpack(fields))
        end
        redis.call('HSET', KEYS[2], 'epoch', epoch)
        """

    @Test func whatIsTooOldGoesAndAForgottenChannelBeginsALaterEpoch() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        var limits = ChannelLimits()
        limits.maxAge = 3_600_000
        func append(_ number: Int) async throws -> Posted {
            try await store.channel(limits: limits) { $0.append([delivery(number)], to: general, reply: $1) }
        }
        let first = try await append(1)
        for number in 2...3 { #expect(try await append(number).epoch == first.epoch) }
        // The clock is Redis's own: the entries are moved, for it cannot be.
        let moved = limits.maxAge + 1
        try server.cli("EVAL", Self.ageScript, "2", "channel:{general}", "channel:{general}:state", String(moved))
        #expect(try server.cli("HGET", "channel:{general}:state", "floor") == "1")
        #expect(try await append(4).epoch == first.epoch - UInt64(moved))
        let page = try await store.channel { $0.page(of: general, from: .floor, limit: 10, reply: $1) }
        #expect(page.state.floor == 3 && page.entries.map(\.offset) == [3, 4])
        for key in ["channel:{general}:state", "channel:{general}"] {
            let left = Int64(try server.cli("PTTL", key)) ?? 0
            #expect(left > limits.maxAge / 2 && left <= limits.maxAge)
            #expect(try server.cli("PEXPIRE", key, "1") == "1")
            while try server.cli("EXISTS", key) != "0" {}
        }
        let later = try await append(1)
        #expect(later.epoch > first.epoch && later.entries == [Delivered.Entry(isFresh: true, offset: 1)])
        await store.stop()
    }

    @Test func watchersComeAndGo() async throws {
        let server = try RedisServer()
        let store = TestStore(server, namespace: "ns")
        #expect(await store.start() == .up)
        func watch(_ watchers: [Watcher], _ instance: InstanceID, _ count: WatcherCount) async throws -> Crowd {
            try await store.channel {
                $0.watch(general, at: instance, watchers, count: count, from: .present, limit: 10, reply: $1)
            }.1
        }
        let first = try await watch([watcher(one, 1, "ann")], one, count(1, 1))
        #expect(first == Crowd(changed: 1, total: 1, listeners: [one]))
        // Said again, it changes nothing.
        #expect(try await watch([watcher(one, 1, "ann")], one, count(1, 1)) == Crowd(changed: 0, total: 1, listeners: [one]))
        let more = try await watch([watcher(two, 1, "ann"), watcher(two, 2, "bob")], two, count(2))
        #expect(more == Crowd(changed: 2, total: 3, listeners: [one]))
        let posted = try await store.channel { $0.append([delivery(1)], to: general, reply: $1) }
        #expect(Set(posted.watchers) == [one, two])
        let here = try await store.channel { $0.presence(of: general, limit: 3, reply: $1) }
        #expect(here.clients == 3 && here.people == 2 && here.watchers.count == 3)
        #expect(here.watchers.contains { String(decoding: $0.info, as: UTF8.self) == #"{"user":"bob|"}"# })
        #expect(here.watchers.contains { String(decoding: $0.connection, as: UTF8.self) == "\(two).2.1" })
        let many = try await store.channel { $0.presence(of: general, limit: 2, reply: $1) }
        #expect(many.clients == 3 && many.people == 2 && many.watchers.isEmpty)

        // What does not match is not removed.
        func unwatch(_ watchers: [Watcher], _ instance: InstanceID, _ count: WatcherCount) async throws -> Crowd {
            try await store.channel {
                $0.unwatch(general, at: instance, watchers.map(\.connection), count: count, reply: $1)
            }
        }
        #expect(try await unwatch([watcher(one, 9, "ann")], one, count(1, 1)).changed == 0)
        let left = try await unwatch([watcher(one, 1, "ann")], one, count(0))
        #expect(left == Crowd(changed: 1, total: 2, listeners: []))
        try await store.channel { $0.forget(general, at: one, reply: $1) }
        #expect(try server.cli("KEYS", "ns:watching:*") == "ns:watching:{\(two)}")
        // The page comes with the note: nothing lies between the two.
        let start = StreamPosition(epoch: posted.epoch, offset: 0)
        let (page, _) = try await store.channel {
            $0.watch(general, at: one, [], count: count(1), from: .after(start), limit: 10, reply: $1)
        }
        #expect(page.recovered && page.entries.map(\.offset) == [1] && page.isComplete)
        await store.stop()
    }

    /// Auth0's ids have a `|`, and so does what is stored of a watcher.
    @Test func peopleWhoseIDsDifferBehindABarAreTwo() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let both = [watcher(one, 1, "auth0|507f"), watcher(one, 2, "auth0|508a")]
        _ = try await store.channel { $0.watch(general, at: one, both, count: count(2), from: .present, limit: 0, reply: $1) }
        let here = try await store.channel { $0.presence(of: general, limit: 10, reply: $1) }
        #expect(here.people == 2)
        #expect(Set(here.watchers.map { $0.info }) == Set(both.map(\.info)))
        // As a former version left them: up to the first bar.
        try server.cli("HSET", "channel:{general}:presence:\(one)", "\(one).3.1", #"carol|{"user":"carol|x"}"#)
        try server.cli("HSET", "channel:{general}:people", "carol", "1")
        var infos: [[UInt8]] = []
        while true {
            let swept = try await store.channel { $0.sweep(one, reply: $1) }
            if swept.isEmpty { break }
            infos += swept.flatMap(\.infos)
        }
        #expect(infos.contains(Array(#"{"user":"carol|x"}"#.utf8)) && infos.count == 3)
        #expect(try server.cli("EXISTS", "channel:{general}:people") == "0")
        await store.stop()
    }

    /// In more steps than one, and nothing of another instance or of another channel.
    @Test func aChannelIsCleanedOfOneInstance() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let other = ChannelID("other")!
        for (channel, instance) in [(general, one), (general, two), (other, one)] {
            let watchers = (0..<5).map { watcher(instance, $0, "p\($0)") }
            _ = try await store.channel {
                $0.watch(channel, at: instance, watchers, count: count(5), from: .present, limit: 0, reply: $1)
            }
        }
        for _ in 0..<2 { try await store.channel { $0.clean(general, of: one, limit: 2, reply: $1) } }
        #expect(try server.cli("HKEYS", "channel:{general}:watchers") == "\(two)")
        #expect(try server.cli("EXISTS", "channel:{general}:presence:\(one)") == "0")
        #expect(try server.cli("HLEN", "channel:{general}:presence:\(two)") == "5")
        #expect(try server.cli("SMEMBERS", "watching:{\(one)}") == "other")
        await store.stop()
    }

    @Test func aDeadInstanceIsSwept() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let channels = (0..<60).map { ChannelID("c\($0)")! }
        for channel in channels {
            for instance in [one, two] {
                let watchers = (0..<5).map { watcher(instance, $0, "p\($0)") }
                _ = try await store.channel {
                    $0.watch(channel, at: instance, watchers, count: count(5, 1), from: .present, limit: 0, reply: $1)
                }
            }
        }
        try server.cli("SET", "channel:{c7}:people", "of another type")
        var told = 0
        while true {
            let swept = try await store.channel { $0.sweep(one, limit: 2, reply: $1) }
            if swept.isEmpty { break }
            #expect(swept.allSatisfy { $0.listeners == [two] || $0.channel.text == "c7" })
            told += swept.reduce(0) { $0 + $1.infos.count }
        }
        #expect(told == 59 * 5)
        #expect(try server.cli("EXISTS", "watching:{\(one)}") == "0")
        let left = try await store.channel { $0.presence(of: channels[3], limit: 100, reply: $1) }
        #expect(left.clients == 5 && left.people == 5 && left.watchers.count == 5)
        #expect(try server.cli("HKEYS", "channel:{c3}:watchers") == two.text)
        try await store.channel { $0.forgetAll(at: two, reply: $1) }
        #expect(try server.cli("KEYS", "watching:*") == "")
        await store.stop()
    }

    @Test func membersMayWatch() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        _ = try await store.audience { $0.add([PersonID("ann")!], to: "channel:general", reply: $1) }
        #expect(try await store.channel { $0.isMember(PersonID("ann")!, of: general, reply: $1) })
        #expect(try await store.channel { $0.isMember(PersonID("bob")!, of: general, reply: $1) } == false)
        await store.stop()
    }
}
