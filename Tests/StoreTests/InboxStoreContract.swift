import Models
import Store
import StoreTestSupport
import TestSupport
import Testing

/// What `InboxStore` promises, held on each store.
@Suite(.blocking) struct InboxStoreContract {
    private let bob = PersonID("acme/bob")!

    private func ids(_ numbers: Int...) -> InboxSelection { .ids(numbers.map(notificationID)) }
    private func ids(_ numbers: Int...) -> [NotificationID] { numbers.map(notificationID) }

    private func page(
        _ store: ContractStore, _ start: InboxStart, limit: Int = 100, bytes: Int = 1 << 20
    ) async throws -> InboxPage {
        try await store.ask { $0.inbox.page(of: bob, from: start, limit: limit, bytes: bytes, reply: $1) }
    }

    private func append(_ store: ContractStore, _ numbers: [Int]) async throws -> Appended {
        try await store.ask { $0.inbox.append(numbers.map(delivery), to: bob, reply: $1) }
    }

    @Test(arguments: StoreKind.allCases) func appendsInOrderAndOnce(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        let first = try await append(store, [1, 2])
        #expect(first.entries == [.init(isFresh: true, offset: 1), .init(isFresh: true, offset: 2)] && first.unread == 2)
        // A repetition answers what the first call did, and so does one within the call.
        let again = try await append(store, [2, 3, 3, 1])
        #expect(again.entries.map(\.offset) == [2, 3, 3, 1])
        #expect(again.entries.map(\.isFresh) == [false, true, false, false])
        #expect(again.entries.allSatisfy(\.isOpen) && again.unread == 3 && again.epoch == first.epoch)
        let other = try await store.ask { $0.inbox.append([delivery(1)], to: PersonID("ann")!, reply: $1) }
        #expect(other.entries == [.init(isFresh: true, offset: 1)])
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func readsOnFromAPosition(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        let untouched = try await page(store, .after(StreamPosition(epoch: 0, offset: 0)))
        #expect(untouched.recovered && untouched.state == InboxState(epoch: 0, offset: 0, floor: 1, unread: 0))
        #expect(try await !page(store, .after(StreamPosition(epoch: 7, offset: 0))).recovered)
        let epoch = try await append(store, Array(1...30)).epoch
        func at(_ offset: UInt64, epoch other: UInt64? = nil) -> InboxStart {
            .after(StreamPosition(epoch: other ?? epoch, offset: offset))
        }
        let some = try await page(store, at(10), limit: 5)
        #expect(some.recovered && !some.isComplete && some.entries.map(\.offset) == [11, 12, 13, 14, 15])
        #expect(some.end == StreamPosition(epoch: epoch, offset: 15) && some.state.offset == 30)
        #expect(some.entries[0].bytes == delivery(11).bytes && some.entries[0].accepted == 1_011)
        #expect(some.entries[0].id == notificationID(11).bytes)
        let rest = try await page(store, at(25))
        #expect(rest.isComplete && rest.entries.map(\.offset) == [26, 27, 28, 29, 30])
        #expect(try await page(store, at(25), limit: 5).isComplete)
        #expect(try await page(store, at(30)).entries.isEmpty)
        #expect(try await page(store, .floor).entries.count == 30)
        #expect(try await page(store, at(0, epoch: 0)).entries.count == 30)
        let present = try await page(store, .present)
        #expect(!present.recovered && present.isComplete && present.entries.isEmpty && present.state.offset == 30)
        for lost in [at(31), at(3, epoch: epoch + 1)] {
            let page = try await page(store, lost)
            #expect(!page.recovered && page.entries.isEmpty && page.end == page.state.position)
        }
        // One entry passes, whatever its size.
        #expect(try await page(store, at(10), bytes: 1).entries.map(\.offset) == [11])
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func openingBeginsTheFirstEpoch(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        let opened = try await store.ask { $0.inbox.open(bob, from: .present, limit: 10, bytes: 1_000, reply: $1) }
        #expect(opened.state.epoch > 0 && opened.state.offset == 0 && opened.entries.isEmpty)
        let appended = try await append(store, [1])
        #expect(appended.epoch == opened.state.epoch && appended.entries == [.init(isFresh: true, offset: 1)])
        let again = try await store.ask {
            $0.inbox.open(bob, from: .after(opened.state.position), limit: 10, bytes: 1_000, reply: $1)
        }
        #expect(again.recovered && again.entries.map(\.offset) == [1])
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func trimsByNumberAndTheFloorRises(_ kind: StoreKind) async throws {
        var limits = InboxLimits()
        limits.maxEntries = 5
        let store = try await ContractStore(kind, limits: limits)
        let epoch = try await append(store, Array(1...5)).epoch
        #expect(try await store.ask { $0.inbox.mark(.read(ids(2, 5)), of: bob, reply: $1) }.unread == 3)
        let after = try await append(store, [6, 7, 8])
        // 4, 6, 7 and 8: what is gone counts no more, and neither does its mark.
        #expect(after.unread == 4)
        let all = try await page(store, .floor)
        #expect(all.recovered && all.state.floor == 4 && all.entries.map(\.offset) == [4, 5, 6, 7, 8])
        #expect(try await page(store, .after(StreamPosition(epoch: epoch, offset: 3))).recovered)
        #expect(try await !page(store, .after(StreamPosition(epoch: epoch, offset: 2))).recovered)
        // What was trimmed away is known all the same.
        #expect(try await append(store, [1]).entries == [.init(isFresh: false, offset: 1)])
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func trimsByAge(_ kind: StoreKind) async throws {
        var limits = InboxLimits()
        limits.maxAge = 100
        let store = try await ContractStore(kind, limits: limits)
        _ = try await append(store, [1, 2])
        try await Task.sleep(for: .milliseconds(150))
        #expect(try await append(store, [3]).unread == 1)
        #expect(try await page(store, .floor).entries.map(\.offset) == [3])
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func marksAndCounts(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        func mark(_ change: InboxChange) async throws -> InboxCounts {
            try await store.ask { $0.inbox.mark(change, of: bob, reply: $1) }
        }
        #expect(try await mark(.read(ids(1))) == InboxCounts(unread: 0, revision: 0))
        let epoch = try await append(store, Array(1...10)).epoch
        func to(_ offset: UInt64) -> InboxSelection { .upTo(StreamPosition(epoch: epoch, offset: offset)) }
        #expect(try await mark(.read(ids(4, 6))) == InboxCounts(unread: 8, revision: 1))
        #expect(try await mark(.read(ids(4, 6))) == InboxCounts(unread: 8, revision: 1), "repeated")
        #expect(try await mark(.read(to(5))) == InboxCounts(unread: 4, revision: 2))
        #expect(try await mark(.archive(ids(8))) == InboxCounts(unread: 3, revision: 3))
        #expect(try await mark(.unread(ids(2))) == InboxCounts(unread: 4, revision: 4))
        #expect(try await mark(.read(to(99))) == InboxCounts(unread: 4, revision: 4), "beyond the last")
        let page = try await page(store, .after(StreamPosition(epoch: epoch, offset: 6)))
        #expect(page.entries.map(\.offset) == [7, 9, 10] && page.state.unread == 4 && page.state.revision == 4)
        let open = try await append(store, [1, 5, 7, 8, 9]).entries.map(\.isOpen)
        #expect(open == [false, false, true, false, true])
        #expect(try await mark(.read(to(10))) == InboxCounts(unread: 0, revision: 5))
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func acknowledgesAndSees(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        let epoch = try await append(store, Array(1...6)).epoch
        func to(_ offset: UInt64) -> InboxSelection { .upTo(StreamPosition(epoch: epoch, offset: offset)) }
        let counts = InboxCounts(unread: 6, revision: 0)
        let first = try await store.ask { $0.inbox.acknowledge(to(3), of: bob, reply: $1) }
        #expect(first == Acknowledged(counts: counts, offset: 3, accepted: 1_003, isFirst: true))
        #expect(try await store.ask { $0.inbox.acknowledge(to(3), of: bob, reply: $1) }.isFirst == false)
        let byID = try await store.ask { $0.inbox.see(ids(2, 5), of: bob, reply: $1) }
        #expect(byID == Acknowledged(counts: counts, offset: 5, accepted: 1_005, isFirst: true))
        // Of another epoch, beyond the last, or not there: it is about nothing.
        let other = InboxSelection.upTo(StreamPosition(epoch: epoch + 1, offset: 6))
        for nothing in [other, to(7), ids(77)] {
            #expect(try await store.ask { $0.inbox.acknowledge(nothing, of: bob, reply: $1) }.offset == 0)
        }
        #expect(try await append(store, [5, 6]).entries.map(\.isOpen) == [false, true])
        await store.stop()
    }

    @Test(arguments: StoreKind.allCases) func readsTheNewest(_ kind: StoreKind) async throws {
        let store = try await ContractStore(kind)
        let epoch = try await append(store, Array(1...20)).epoch
        func newest(_ after: UInt64, limit: Int, bytes: Int = 1 << 20) async throws -> InboxPage {
            let position = StreamPosition(epoch: epoch, offset: after)
            return try await store.ask { $0.inbox.newest(of: bob, after: position, limit: limit, bytes: bytes, reply: $1) }
        }
        let some = try await newest(5, limit: 3)
        #expect(some.recovered && !some.isComplete && some.entries.map(\.offset) == [18, 19, 20])
        #expect(try await newest(17, limit: 3).isComplete)
        #expect(try await newest(0, limit: 9, bytes: 1).entries.map(\.offset) == [20])
        #expect(try await !newest(21, limit: 3).recovered)
        await store.stop()
    }

    /// Random calls, some of them repeated: the store in memory, by which services are tested, answers as Redis does.
    @Test func memoryAnswersAsRedisDoes() async throws {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        var limits = InboxLimits()
        limits.maxEntries = 25
        let stores = [try await ContractStore(.redis, limits: limits), try await ContractStore(.memory, limits: limits)]
        for round in 0..<6 {
            let person = PersonID("p\(round)")!
            var epochs: [UInt64] = []
            for store in stores {
                epochs.append(try await store.ask { $0.inbox.append([delivery(0)], to: person, reply: $1) }.epoch)
            }
            var number = 1
            for step in 0..<100 {
                let choice = Int.random(in: 0..<12, using: &random)
                let some = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                    Int.random(in: max(0, number - 35)...number + 1, using: &random)
                }
                let fresh = (0..<Int.random(in: 1...7, using: &random)).map { number + $0 } + some.filter { $0 < number }
                let offset = UInt64.random(in: UInt64(number) / 2...UInt64(number) + 1, using: &random)
                let limit = Int.random(in: 1...40, using: &random)
                if choice < 4 { number = max(number, fresh.max()! + 1) }
                var answers: [String] = []
                for (store, epoch) in zip(stores, epochs) {
                    let position = StreamPosition(epoch: epoch, offset: offset)
                    switch choice {
                    case 0..<4:
                        let answer = try await store.ask { $0.inbox.append(fresh.map(delivery), to: person, reply: $1) }
                        answers.append("\(answer.entries) \(answer.unread)")
                    case 4:
                        let answer = try await store.ask {
                            $0.inbox.page(of: person, from: .after(position), limit: limit, bytes: 1 << 20, reply: $1)
                        }
                        answers.append(Self.words(answer))
                    case 5:
                        let answer = try await store.ask {
                            $0.inbox.newest(of: person, after: position, limit: limit, bytes: 1 << 20, reply: $1)
                        }
                        answers.append(Self.words(answer))
                    case 6:
                        answers.append("\(try await store.ask { $0.inbox.see(.upTo(position), of: person, reply: $1) })")
                    case 7:
                        let selection = InboxSelection.ids(some.map(notificationID))
                        answers.append("\(try await store.ask { $0.inbox.acknowledge(selection, of: person, reply: $1) })")
                    default:
                        let ids = some.map(notificationID)
                        let changes: [InboxChange] = [.read(.ids(ids)), .read(.upTo(position)), .unread(ids), .archive(ids)]
                        answers.append("\(try await store.ask { $0.inbox.mark(changes[choice - 8], of: person, reply: $1) })")
                    }
                }
                #expect(answers[0] == answers[1], "TEST_SEED=\(seed) round \(round) step \(step): call \(choice)")
            }
        }
        for store in stores { await store.stop() }
    }

    /// Without the epoch, which each store has of its own.
    private static func words(_ page: InboxPage) -> String {
        let state = page.state
        return "\(page.recovered) \(page.entries.map(\.offset)) \(state.offset) \(state.floor) \(state.unread) \(state.revision)"
    }
}
