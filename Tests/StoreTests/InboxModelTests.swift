import Models
import Redis
import Store
import TestSupport
import Testing

/// What an inbox should do, in the simplest words.
private struct InboxModel {
    var offset: UInt64 = 0
    var floor: UInt64 = 1
    var entries: [(offset: UInt64, number: Int)] = []
    var seen: [Int: UInt64] = [:]
    let maxEntries: Int

    mutating func deliver(_ numbers: [Int]) -> [Delivered.Entry] {
        let answers = numbers.map { number in
            if let old = seen[number] { return Delivered.Entry(isFresh: false, offset: old) }
            offset += 1
            seen[number] = offset
            entries.append((offset, number))
            return Delivered.Entry(isFresh: true, offset: offset)
        }
        if entries.count > maxEntries {
            entries.removeFirst(entries.count - maxEntries)
            floor = entries[0].offset
        }
        return answers
    }

    func page(after: UInt64, limit: Int) -> (recovered: Bool, isComplete: Bool, numbers: [Int]) {
        guard after <= offset, after + 1 >= floor else { return (false, true, []) }
        let rest = entries.filter { $0.offset > after }
        return (true, rest.count <= limit, rest.prefix(limit).map(\.number))
    }
}

@Suite(.blocking) struct InboxModelTests {
    /// Random calls for a few people, some of them repeated, with a server that is killed in between: every answer is the model's.
    @Test func behavesAsItsModel() async throws {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        let server = try RedisServer()
        var limits = InboxLimits()
        limits.maxEntries = 40
        let people = ["a", "acme/bob", "ünï ço\u{64}e", "d"].map { PersonID($0)! }
        var models = Dictionary(uniqueKeysWithValues: people.map { ($0, InboxModel(maxEntries: 40)) })
        var epochs: [PersonID: UInt64] = [:]
        for life in 0..<4 {
            let store = TestStore(server, limits: limits, namespace: "test")
            #expect(await store.start() == .up)
            for step in 0..<150 {
                let person = people.randomElement(using: &random)!
                let model = models[person]!
                let state = InboxState(
                    epoch: epochs[person] ?? 0, offset: model.offset, floor: model.floor, unread: model.entries.count)
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<5:
                    let numbers = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                        // Often one of the latest, so that much is repeated.
                        Int.random(in: max(0, Int(model.offset) - 20)...Int(model.offset) + 30, using: &random)
                    }
                    let answer = try await store.deliver(numbers.map(delivery), to: person)
                    #expect(answer.entries == models[person]!.deliver(numbers), "life \(life), step \(step)")
                    #expect(answer.unread == models[person]!.entries.count)
                    #expect(answer.epoch == epochs[person] ?? answer.epoch)
                    epochs[person] = answer.epoch
                case 5..<9:
                    let after = UInt64.random(in: 0...model.offset + 2, using: &random)
                    let limit = Int.random(in: 1...50, using: &random)
                    guard let epoch = epochs[person] else { continue }
                    let page = try await store.page(
                        of: person, from: .after(StreamPosition(epoch: epoch, offset: after)), limit: limit)
                    let expected = model.page(after: after, limit: limit)
                    #expect(page.recovered == expected.recovered, "life \(life), step \(step)")
                    #expect(page.isComplete == expected.isComplete)
                    #expect(page.entries.map(\.bytes) == expected.numbers.map { delivery($0).bytes })
                    #expect(page.state == state)
                default:
                    let connection = ConnectionID(
                        instance: InstanceID(name: "g", epoch: UInt64(life))!, index: UInt32(step), generation: 1)
                    let page = try await store.register(connection, of: person)
                    #expect(page.entries.isEmpty && !page.recovered)
                    if epochs[person] == nil { epochs[person] = page.state.epoch }
                    #expect(page.state.epoch == epochs[person])
                    #expect(page.state.offset == model.offset)
                    let routes = try await store.deliver([delivery(0)], to: person)
                    #expect(routes.entries == models[person]!.deliver([0]))
                    #expect(routes.routes.contains(Array(connection.description.utf8)))
                    #expect(try await store.unregister(connection, of: person) == 0)
                }
            }
            await store.stop()
            server.stop()
            try server.start()
        }
    }
}
