import Models
import Redis
import Store
import TestSupport
import Testing

/// Who has read what, in the simplest words.
private struct ReadModel {
    var offset: UInt64 = 0
    /// Offset and number of each entry that is there.
    var entries: [(offset: UInt64, number: Int)] = []
    var unread: Set<UInt64> = []
    var acked: UInt64 = 0
    var taken: UInt64 = 0
    var revision: UInt64 = 0
    var seen: [Int: UInt64] = [:]

    mutating func deliver(_ numbers: [Int], most: Int) {
        for number in numbers where seen[number] == nil {
            offset += 1
            seen[number] = offset
            entries.append((offset, number))
            unread.insert(offset)
        }
        while entries.count > most { unread.remove(entries.removeFirst().offset) }
    }

    func offsets(_ numbers: [Int]) -> [UInt64] {
        entries.filter { numbers.contains($0.number) }.map(\.offset)
    }

    mutating func change(_ body: (inout ReadModel) -> Void) {
        let before = unread.count
        body(&self)
        if unread.count != before { revision += 1 }
    }

    mutating func ack(_ to: UInt64, sees: Bool) {
        guard to <= offset else { return }
        acked = max(acked, to)
        if sees { taken = max(taken, to) }
    }

    mutating func readUpTo(_ to: UInt64, read: UInt64) {
        guard to <= offset else { return }
        change { model in model.unread = model.unread.filter { $0 > to } }
        // One that lies within what is read already says nothing new.
        if to > read {
            acked = max(acked, to)
            taken = max(taken, to)
        }
    }
}

@Suite(.blocking) struct InboxStateTests {
    let bob = PersonID("acme/bob")!

    private func ids(_ numbers: [Int]) -> InboxSelection { .ids(numbers.map(notificationID)) }

    @Test func readsUnreadsAndArchives() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let nothing = try await store.inbox { $0.markRead(ids([1]), of: bob, reply: $1) }
        #expect(nothing == Marked(counts: InboxCounts(unread: 0, revision: 0), routes: []))
        #expect(try await store.inbox { $0.audit(of: bob, reply: $1) } == nil)

        let epoch = try await store.deliver((1...6).map(delivery), to: bob).epoch
        let connection = ConnectionID(instance: InstanceID(name: "g", epoch: 1)!, index: 1, generation: 1)
        _ = try await store.register(connection, of: bob)
        func at(_ offset: UInt64) -> InboxSelection { .upTo(StreamPosition(epoch: epoch, offset: offset)) }

        let alone = try await store.inbox { $0.markRead(ids([4, 4, 99]), of: bob, reply: $1) }
        #expect(alone == Marked(counts: InboxCounts(unread: 5, revision: 1), routes: [Array(connection.description.utf8)]))
        // A repetition answers the same, with the routes.
        #expect(try await store.inbox { $0.markRead(ids([4]), of: bob, reply: $1) } == alone)
        #expect(try await store.inbox { $0.markRead(at(2), of: bob, reply: $1) }.counts == .init(unread: 3, revision: 2))
        #expect(try await store.inbox { $0.markRead(at(1), of: bob, reply: $1) }.counts == .init(unread: 3, revision: 2))
        let other = InboxSelection.upTo(StreamPosition(epoch: epoch + 1, offset: 6))
        #expect(try await store.inbox { $0.markRead(other, of: bob, reply: $1) }.counts.unread == 3)
        #expect(try await store.inbox { $0.markRead(at(7), of: bob, reply: $1) }.counts.unread == 3)
        // Below `read`: the position goes back, and its neighbours stay read.
        #expect(try await store.inbox { $0.markUnread([notificationID(1)], of: bob, reply: $1) }.counts.unread == 4)
        let audit = try #require(try await store.inbox { $0.audit(of: bob, reply: $1) })
        #expect(audit.drifts == [] && audit.read == 0 && audit.marks == 2 && audit.counted == 4)
        #expect(try await store.inbox { $0.archive([notificationID(5), notificationID(2)], of: bob, reply: $1) }.counts.unread == 3)
        #expect(try await store.inbox { $0.archive([notificationID(5)], of: bob, reply: $1) }.counts == .init(unread: 3, revision: 4))
        let page = try await store.page(of: bob, from: .floor, limit: 10)
        #expect(page.entries.map(\.offset) == [1, 3, 4, 6] && page.state.unread == 3 && page.state.revision == 4)
        #expect(try await store.inbox { $0.markRead(at(6), of: bob, reply: $1) }.counts == .init(unread: 0, revision: 5))
        #expect(try server.cli("EXISTS", "inbox:{\(shard(of: bob, shards: 64))}:acme/bob:marks") == "0")
        await store.stop()
    }

    @Test func acknowledgesForwardsOnly() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let epoch = try await store.deliver((1...4).map(delivery), to: bob).epoch
        func ack(_ offset: UInt64, epoch: UInt64) async throws -> Acknowledged {
            try await store.inbox {
                $0.acknowledge(.upTo(StreamPosition(epoch: epoch, offset: offset)), of: bob, reply: $1)
            }
        }
        let first = try await ack(3, epoch: epoch)
        #expect(first == Acknowledged(counts: .init(unread: 4, revision: 0), offset: 3, accepted: 1_003, isFirst: true))
        #expect(try await ack(3, epoch: epoch).isFirst == false)
        #expect(try await ack(2, epoch: epoch) == .init(counts: first.counts, offset: 2, accepted: 1_002, isFirst: false))
        #expect(try await ack(4, epoch: epoch + 1) == .init(counts: first.counts, offset: 0, accepted: 0, isFirst: false))
        #expect(try await ack(9, epoch: epoch).offset == 0)
        let audit = try #require(try await store.inbox { $0.audit(of: bob, reply: $1) })
        #expect(audit.acked == 3 && audit.taken == 0 && audit.read == 0)
        let byIDs = try await store.inbox { $0.see(ids([4, 2]), of: bob, reply: $1) }
        #expect(byIDs.offset == 4 && byIDs.isFirst)
        let later = try #require(try await store.inbox { $0.audit(of: bob, reply: $1) })
        #expect(later.acked == 4 && later.taken == 4 && later.drifts == [])
        await store.stop()
    }

    /// An id that the dedup buckets have forgotten is still found in the inbox, for an inbox keeps its entries for longer.
    /// A replay need push nothing that has reached her.
    @Test func aRepeatedDeliverySaysWhetherItIsOpen() async throws {
        let server = try RedisServer()
        var limits = InboxLimits()
        limits.maxEntries = 12
        let store = TestStore(server, limits: limits)
        #expect(await store.start() == .up)
        let all = (1...12).map { delivery($0) }
        let first = try await store.deliver(all, to: bob)
        #expect(first.entries.allSatisfy { $0.isFresh && $0.isOpen })
        func open() async throws -> [UInt64] {
            let again = try await store.deliver(all, to: bob)
            #expect(again.entries.map(\.offset) == (1...12).map { UInt64($0) } && again.entries.allSatisfy { !$0.isFresh })
            return again.entries.filter(\.isOpen).map(\.offset)
        }
        func at(_ offset: UInt64) -> InboxSelection { .upTo(StreamPosition(epoch: first.epoch, offset: offset)) }
        #expect(try await open() == Array(1...12))
        _ = try await store.inbox { $0.markRead(at(2), of: bob, reply: $1) }
        #expect(try await open() == Array(3...12))
        _ = try await store.inbox { $0.markRead(ids([5]), of: bob, reply: $1) }
        _ = try await store.inbox { $0.archive([notificationID(7)], of: bob, reply: $1) }
        #expect(try await open() == [3, 4, 6, 8, 9, 10, 11, 12])
        _ = try await store.inbox { $0.acknowledge(at(4), of: bob, reply: $1) }
        #expect(try await open() == [6, 8, 9, 10, 11, 12])
        _ = try await store.inbox { $0.see(at(9), of: bob, reply: $1) }
        #expect(try await open() == [10, 11, 12])
        // What trimming took is open for all that is known: its push may never have left.
        _ = try await store.deliver((13...24).map { delivery($0) }, to: bob)
        #expect(try await open() == [10, 11, 12])
        // Twice in one call is one notification.
        let twice = try await store.deliver([delivery(30), delivery(30)], to: bob)
        #expect(twice.entries == [.init(isFresh: true, offset: 25), .init(isFresh: false, offset: 25)])
        await store.stop()
    }

    @Test func findsIDsThatTheBucketsHaveForgotten() async throws {
        let server = try RedisServer()
        var limits = InboxLimits()
        limits.dedupWindow = 40
        let store = TestStore(server, limits: limits)
        #expect(await store.start() == .up)
        _ = try await store.deliver((1...3).map(delivery), to: bob)
        for _ in 0..<400 where try !server.cli("KEYS", "seen:*").isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try await store.inbox { $0.markRead(ids([2]), of: bob, reply: $1) }.counts.unread == 2)
        #expect(try await store.inbox { $0.markRead(ids([2, 3]), of: bob, reply: $1) }.counts.unread == 1)
        await store.stop()
    }

    @Test func readsTheNewestBehindAPosition() async throws {
        let server = try RedisServer()
        let store = TestStore(server)
        #expect(await store.start() == .up)
        let epoch = try await store.deliver((1...50).map(delivery), to: bob).epoch
        func newest(_ after: UInt64, _ limit: Int, bytes: Int = 1 << 20) async throws -> InboxPage {
            try await store.inbox {
                $0.newest(of: bob, after: StreamPosition(epoch: epoch, offset: after), limit: limit, bytes: bytes, reply: $1)
            }
        }
        let some = try await newest(10, 20)
        #expect(some.entries.map(\.offset) == Array(31...50) && !some.isComplete && some.recovered)
        #expect(try await newest(30, 20).isComplete)
        #expect(try await newest(10, 100).entries.map(\.offset) == Array(11...50))
        #expect(try await newest(50, 5).isComplete)
        #expect(try await newest(51, 5).recovered == false)
        #expect(try await newest(0, 50, bytes: 1).entries.map(\.offset) == [50])
        _ = try await store.inbox { $0.archive([notificationID(30)], of: bob, reply: $1) }
        #expect(try await newest(29, 20).isComplete)
        await store.stop()
    }

    @Test func theAuditFindsDrift() async throws {
        let server = try RedisServer()
        let store = TestStore(server, namespace: "ns")
        #expect(await store.start() == .up)
        let odd = PersonID("bob:state")!
        for person in [bob, odd] { _ = try await store.deliver((1...4).map(delivery), to: person) }
        let people = try await store.inbox { inbox, reply in
            inbox.people(from: "0") { reply($0.map { Everybody(next: $0.next, people: $0.people) }) }
        }
        #expect(Set(people.people) == [bob, odd] && people.next == "0")
        let key = "ns:inbox:{\(shard(of: bob, shards: 64))}:acme/bob"
        try server.cli("HSET", key + ":state", "unread", "7", "read", "1", "acked", "9")
        try server.cli("SADD", key + ":marks", "1", "3", "8")
        let audit = try #require(try await store.inbox { $0.audit(of: bob, reply: $1) })
        #expect(
            audit.drifts == [
                "unread is 7, and 2 are", "2 of 3 marks mark no entry behind read", "acked is 9, and offset 4",
            ])
        await store.stop()
    }

    private struct Everybody: Sendable {
        var next: String
        var people: [PersonID]
    }

    /// Random calls, some of them repeated, with trimming: every count is the model's, and the audit finds no drift.
    @Test func countsNeverDrift() async throws {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        let server = try RedisServer()
        var limits = InboxLimits()
        limits.maxEntries = 30
        let store = TestStore(server, limits: limits)
        #expect(await store.start() == .up)
        for round in 0..<8 {
            let person = PersonID("p\(round)")!
            var model = ReadModel()
            var number = 1
            let epoch = try await store.deliver([delivery(0)], to: person).epoch
            model.deliver([0], most: 30)
            for step in 0..<120 {
                let some = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                    Int.random(in: max(0, number - 45)...number + 1, using: &random)
                }
                let to = UInt64.random(in: model.offset / 2...model.offset + 1, using: &random)
                let position = InboxSelection.upTo(StreamPosition(epoch: epoch, offset: to))
                var counts: InboxCounts?
                switch Int.random(in: 0..<20, using: &random) {
                case 0..<7:
                    let fresh = (0..<Int.random(in: 1...8, using: &random)).map { number + $0 }
                    number += fresh.count
                    let unread = try await store.deliver(fresh.map(delivery), to: person).unread
                    model.deliver(fresh, most: 30)
                    #expect(unread == model.unread.count, "TEST_SEED=\(seed) round \(round) step \(step): deliver")
                case 7..<9:
                    counts = try await store.inbox { $0.acknowledge(position, of: person, reply: $1) }.counts
                    model.ack(to, sees: false)
                case 9:
                    counts = try await store.inbox { $0.see(position, of: person, reply: $1) }.counts
                    model.ack(to, sees: true)
                case 10:
                    let read = try #require(try await store.inbox { $0.audit(of: person, reply: $1) }).read
                    counts = try await store.inbox { $0.markRead(position, of: person, reply: $1) }.counts
                    model.readUpTo(to, read: read)
                case 11..<15:
                    counts = try await store.inbox { $0.markRead(ids(some), of: person, reply: $1) }.counts
                    model.change { $0.unread.subtract($0.offsets(some)) }
                case 15..<18:
                    counts = try await store.inbox { $0.markUnread(some.map(notificationID), of: person, reply: $1) }.counts
                    model.change { $0.unread.formUnion($0.offsets(some)) }
                default:
                    counts = try await store.inbox { $0.archive(some.map(notificationID), of: person, reply: $1) }.counts
                    model.change { model in
                        model.unread.subtract(model.offsets(some))
                        model.entries.removeAll { some.contains($0.number) }
                    }
                }
                if let counts {
                    let expected = InboxCounts(unread: model.unread.count, revision: model.revision)
                    #expect(counts == expected, "TEST_SEED=\(seed) round \(round) step \(step)")
                }
                let audit = try #require(try await store.inbox { $0.audit(of: person, reply: $1) })
                #expect(audit.drifts == [], "TEST_SEED=\(seed) round \(round) step \(step)")
                #expect(audit.entries == model.entries.count && audit.counted == model.unread.count)
                #expect(audit.acked == model.acked && audit.taken == model.taken, "TEST_SEED=\(seed) round \(round) step \(step)")
                if audit.drifts != [] { break }
            }
        }
        await store.stop()
    }
}
