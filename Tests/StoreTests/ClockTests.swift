import EventLoop
import Models
import Redis
import TestSupport
import Testing

@testable import Store

/// Time as Redis tells it may step, and nothing is shown twice, trimmed or forgotten for that.
@Suite(.blocking) struct ClockTests {
    let bob = PersonID("bob")!
    let hour: Int64 = 3_600_000

    @Test func aStepIsBelievedOnceItHasLasted() {
        var clock = SteadyClock()
        #expect(clock.time(at: 5) == 0)
        clock.told(1_000_000_000, at: 1_000)
        #expect(clock.time(at: 3_000) == 1_000_002_000)
        // Less than an hour is taken as it comes.
        clock.told(1_000_002_000 - hour, at: 3_000)
        #expect(clock.time(at: 3_000) == 1_000_002_000 - hour && !clock.isStepped)
        let before = clock.time(at: 3_000)
        clock.told(before + 2 * hour, at: 3_000)
        #expect(clock.isStepped && clock.time(at: 4_000) == before + 1_000)
        // It came back: as if nothing had been.
        clock.told(before + 2_000, at: 5_000)
        #expect(!clock.isStepped)
        // One that jumps about never lasts, one that stays does.
        for step in 1...20 { clock.told(before + Int64(step) * 5 * hour, at: 5_000 + UInt64(step) * 100_000) }
        #expect(clock.isStepped && clock.time(at: 5_000) == before + 2_000)
        var other = SteadyClock()
        other.told(before, before: before - 5 * hour, at: 0)
        #expect(other.isStepped && other.time(at: 10) == before - 5 * hour + 10)
        other.told(before + 599_999, at: 599_999)
        #expect(other.isStepped)
        other.told(before + 600_000, at: 600_000)
        #expect(!other.isStepped && other.time(at: 600_000) == before + 600_000)
        // The two clocks that are compared here may lie a turn apart.
        #expect(other.time(at: 599_000) == before + 600_000)
    }

    /// Redis as it acts while it believes in this time.
    private func at<Answer: Sendable>(
        _ time: Int64, _ server: RedisServer, limits: InboxLimits = InboxLimits(), _ body: (TestStore) async throws -> Answer
    ) async throws -> Answer {
        let witness = Witness()
        // Before it hears what Redis's clock says: that is then a step.
        let start: [RedisValue] = [.integer(0), .integer(0), .integer(time), .integer(0)]
        #expect(witness.learn(start[...]))
        let store = TestStore(server, limits: limits, witness: witness)
        #expect(await store.start() == .up)
        let answer = try await body(store)
        await store.stop()
        return answer
    }

    @Test func bucketsBeforeAtAndAfterNowAreAsked() async throws {
        let server = try RedisServer()
        let week = InboxLimits().dedupWindow
        // Weeks from now, so that Redis's own clock is not believed; ten minutes into a bucket.
        let boundary = (EventLoop.wallClock() / week + 4) * week + 600_000
        let first = try await at(boundary, server) { try await $0.deliver([delivery(1)], to: bob) }
        #expect(first.epoch >= UInt64(boundary) && first.epoch < UInt64(boundary + hour))
        // An hour back is another bucket, and before the inbox's epoch.
        for time in [boundary - hour, boundary - 24 * hour, boundary + week - 1, boundary + week] {
            let again = try await at(time, server) { try await $0.deliver([delivery(1)], to: bob) }
            #expect(again.entries == [.init(isFresh: false, offset: 1)] && again.epoch == first.epoch)
        }
        // What is seen an hour back is known once the clock is right again, and for a whole window.
        _ = try await at(boundary - hour, server) { try await $0.deliver([delivery(2)], to: bob) }
        _ = try await at(boundary + week, server) { try await $0.deliver([delivery(3)], to: bob) }
        let known = try await at(boundary + week + 1, server) { try await $0.deliver([delivery(1), delivery(2), delivery(3)], to: bob) }
        #expect(known.entries.allSatisfy { !$0.isFresh })
        // After two windows what is old is gone.
        _ = try await at(boundary + 2 * week, server) { try await $0.deliver([delivery(4)], to: bob) }
        let late = try await at(boundary + 2 * week, server) { try await $0.deliver([delivery(1), delivery(3)], to: bob) }
        #expect(late.entries.map(\.isFresh) == [true, false])
    }

    /// Redis's clock is 40 days ahead of what everybody believes.
    @Test func aClockFarAheadNeitherTrimsNorForgets() async throws {
        let server = try RedisServer()
        let past = EventLoop.wallClock() - 40 * 24 * hour
        for number in 1...3 {
            let delivered = try await at(past + Int64(number), server) { try await $0.deliver([delivery(number)], to: bob) }
            #expect(delivered.entries == [.init(isFresh: true, offset: UInt64(number))])
        }
        let again = try await at(past + 9, server) { try await $0.deliver([delivery(1), delivery(4)], to: bob) }
        #expect(again.entries == [.init(isFresh: false, offset: 1), .init(isFresh: true, offset: 4)])
        let page = try await at(past, server) { try await $0.page(of: bob, from: .floor, limit: 10) }
        #expect(page.entries.map(\.offset) == [1, 2, 3, 4] && abs(page.entries[0].appended - past) < hour)
        #expect(try server.cli("PTTL", "seen:{\(shard(of: bob, shards: 64))}:bob:\(past / InboxLimits().dedupWindow)") == "-1")
        // Who believes it trims.
        let store = TestStore(server)
        #expect(await store.start() == .up)
        #expect(try await store.deliver([delivery(5)], to: bob).unread == 1)
        await store.stop()
    }

    /// An inbox that began while the clock was ahead is trimmed by its entries' age all the same.
    @Test func anEpochOfTheFutureHidesNothing() async throws {
        let server = try RedisServer()
        var limits = InboxLimits()
        limits.maxAge = 2 * hour
        let now = EventLoop.wallClock() - 400 * 24 * hour
        let ahead = try await at(now + 24 * hour, server, limits: limits) { try await $0.register(connection, of: bob) }
        #expect(ahead.state.epoch >= UInt64(now))
        let key = "inbox:{\(shard(of: bob, shards: 64))}:bob:state"
        try server.cli("HSET", key, "epoch", String(now + 24 * hour))
        // Half an hour from every bound, for a step here takes time of its own.
        for (number, time) in [(1, now), (2, now + hour + hour / 2), (3, now + 3 * hour)] {
            _ = try await at(time, server, limits: limits) { try await $0.deliver([delivery(number)], to: bob) }
        }
        let page = try await at(now, server, limits: limits) { try await $0.page(of: bob, from: .floor, limit: 10) }
        #expect(page.entries.map(\.offset) == [2, 3] && page.state.floor == 2)
    }

    private var connection: ConnectionID {
        ConnectionID(instance: InstanceID(name: "g", epoch: 1)!, index: 1, generation: 1)
    }

    /// A former version's state says nothing of buckets; they are found by the time.
    @Test func aFormerVersionsBucketsAreRead() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        _ = try await store.deliver([delivery(1)], to: bob)
        let tag = "{\(shard(of: bob, shards: 64))}:bob"
        let bucket = Int64(try server.cli("HGET", "inbox:\(tag):state", "seen")) ?? 0
        for there in [bucket - 1, bucket + 1] {
            try server.cli("DEL", "seen:\(tag):\(bucket)")
            try server.cli("HSET", "seen:\(tag):\(there)", notificationID(1).description, "1")
            try server.cli("HDEL", "inbox:\(tag):state", "seen", "base", "oldest")
            let again = try await store.deliver([delivery(1)], to: bob)
            #expect(again.entries == [.init(isFresh: false, offset: 1)])
            try server.cli("DEL", "seen:\(tag):\(there)")
        }
        await store.stop()
    }

    /// However many one person gets within the window.
    @Test func whatWasSeenIsBoundedByNumber() async throws {
        let server = try RedisServer()
        var limits = InboxLimits()
        (limits.maxEntries, limits.dedupMost) = (10, 50)
        let store = TestStore(server, limits: limits)
        #expect(await store.start() == .up)
        var most = 0
        for number in 1...400 {
            _ = try await store.deliver([delivery(number)], to: bob)
            guard number % 20 == 0 else { continue }
            let held = try server.cli("KEYS", "seen:*").split(separator: "\n").reduce(0) { sum, key in
                sum + (Int((try? server.cli("HLEN", String(key))) ?? "") ?? 0)
            }
            most = max(most, held)
            let newest = max(1, number - 49)...number
            let again = try await store.deliver(newest.map { delivery($0) }, to: bob)
            #expect(again.entries.map(\.offset) == newest.map { UInt64($0) })
        }
        #expect(most <= 100 && most > 50)
        // Marks by id find what stands in the inbox.
        let marked = try await store.inbox { $0.markRead(.ids([notificationID(395)]), of: bob, reply: $1) }
        #expect(marked.counts.unread == 9)
        await store.stop()
    }
}
