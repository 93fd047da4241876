import Lanes
import TestSupport
import Testing

extension SeededGenerator {
    /// True once in so many times.
    fileprivate mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &self) == 0 }
}

/// An owner that drives lanes as a service does, with a server that fails at random. It keeps what the engine promises by hand,
/// in the plainest way, and compares after each step.
private struct Owner {
    enum Ending: Equatable { case passed, parked, givenUp }

    let bounds: LaneBounds
    var lanes: Lanes<Int>
    var hold = Hold()
    /// By key: what was added, and what ended, in order.
    var added: [Int: [Int]] = [:]
    var ended: [Int: [Int]] = [:]
    var endings: [Int: Ending] = [:]
    /// What is under way.
    var calls: [Int: (key: Int, records: [Int])] = [:]
    /// Failures of a key's call by its own fault, since it was filled.
    var faults: [Int: Int] = [:]
    /// Keys whose call failed and is to be made again, with its records.
    var repeated: [Int: [Int]] = [:]
    /// Keys that rest until the pause is over.
    var resting: Set<Int> = []
    var bytes: [Int: Int] = [:]
    var problems: [String] = []

    init(_ bounds: LaneBounds) {
        self.bounds = bounds
        lanes = Lanes(bounds)
    }

    mutating func check(_ holds: Bool, _ promise: @autoclosure () -> String) {
        if !holds { problems.append(promise()) }
    }

    func waiting(_ key: Int) -> ArraySlice<Int> { added[key, default: []].dropFirst(ended[key, default: []].count) }

    mutating func add(_ key: Int, bytes size: Int) {
        let record = bytes.count
        bytes[record] = size
        added[key, default: []].append(record)
        let slot = lanes.add(record, bytes: size, for: key)
        check(lanes.key(slot) == key, "a place is its key's")
    }

    mutating func begin(most: Int) {
        while let slot = lanes.next(hold, most: most) {
            let key = lanes.key(slot)
            var records: [Int] = []
            lanes.forEachRecord(of: slot) { records.append($0) }
            check(hold.state != .outage, "nothing begins in an outage")
            check(calls[slot] == nil && !calls.values.contains { $0.key == key }, "one call of a key is under way at most")
            check(!records.isEmpty && Array(waiting(key).prefix(records.count)) == records, "the order of a key is kept")
            check(repeated[key].map { $0 == records } ?? true, "a call that is made again keeps its records")
            check(!resting.contains(key), "a call that failed rests until the pause is over")
            check(records.count <= bounds.callRecords, "records of a call")
            let size = records.reduce(0) { $0 + bytes[$1, default: 0] }
            check(records.count == 1 || size <= bounds.callBytes, "bytes of a call")
            let others = calls.values.flatMap(\.records).reduce(0) { $0 + bytes[$1, default: 0] }
            check(others < bounds.bytes, "bytes under way, but for one call")
            calls[slot] = (key, records)
            check(calls.count <= min(most, bounds.calls), "calls under way")
            repeated[key] = nil
        }
        guard hold.state != .outage, calls.count < min(most, bounds.calls) else { return }
        let size = calls.values.flatMap(\.records).reduce(0) { $0 + bytes[$1, default: 0] }
        guard size < bounds.bytes else { return }
        let busy = Set(calls.values.map(\.key)).union(resting)
        for key in added.keys where !waiting(key).isEmpty {
            check(busy.contains(key), "nobody waits for another key")
        }
    }

    /// The pause is over, and a turn follows, as an owner's timer has it.
    mutating func resume(most: Int) {
        hold.resume()
        resting = []
        begin(most: most)
    }

    mutating func end(_ slot: Int, _ ending: Ending) {
        guard let call = calls[slot] else { return }
        lanes.end(slot)
        close(slot, call.key, call.records, ending)
    }

    mutating func again(_ slot: Int) {
        guard let call = calls.removeValue(forKey: slot) else { return }
        lanes.again(slot)
        repeated[call.key] = call.records
    }

    mutating func fail(_ slot: Int, isOutage: Bool) {
        guard let call = calls[slot] else { return }
        _ = hold.failed(isOutage: isOutage)
        if !isOutage { faults[call.key, default: 0] += 1 }
        let isLast = !isOutage && faults[call.key, default: 0] >= bounds.attempts
        switch lanes.failed(slot, isOutage: isOutage) {
        case .again:
            check(!isLast, "given up after so many attempts")
            calls[slot] = nil
            repeated[call.key] = call.records
            resting.insert(call.key)
        case .givenUp(let records):
            check(isLast, "an outage gives nothing up, and a fault only after so many attempts")
            check(records == call.records, "what is given up is the call")
            close(slot, call.key, records, .givenUp)
        }
    }

    private mutating func close(_ slot: Int, _ key: Int, _ records: [Int], _ ending: Ending) {
        calls[slot] = nil
        faults[key] = nil
        for record in records {
            check(endings[record] == nil, "each record ends once")
            endings[record] = ending
            ended[key, default: []].append(record)
        }
    }
}

@Suite struct LanesPropertyTests {
    @Test func everyPromiseHoldsUnderAnyOrderOfEvents() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        for round in 0..<300 {
            let bounds = LaneBounds(
                calls: Int.random(in: 1...12, using: &random), bytes: Int.random(in: 1...400, using: &random),
                callRecords: Int.random(in: 1...5, using: &random), callBytes: Int.random(in: 1...120, using: &random),
                attempts: Int.random(in: 1...4, using: &random))
            var owner = Owner(bounds)
            for _ in 0..<200 { step(&owner, &random) }
            // The server is well again: everything ends.
            owner.resume(most: .max)
            while !owner.lanes.isEmpty, owner.problems.isEmpty {
                owner.begin(most: .max)
                owner.check(!owner.calls.isEmpty, "somebody goes on while anybody waits")
                for slot in owner.calls.keys.sorted() { owner.end(slot, .passed) }
            }
            owner.check(owner.ended == owner.added, "all that was added ended, in order")
            owner.check(owner.lanes.callsInFlight == 0 && owner.lanes.bytesInFlight == 0, "nothing is under way")
            #expect(owner.problems.isEmpty, "TEST_SEED=\(seed), round \(round): \(owner.problems.first ?? "")")
            guard owner.problems.isEmpty else { return }
        }
    }

    private func step(_ owner: inout Owner, _ random: inout SeededGenerator) {
        let slot = owner.calls.keys.sorted().randomElement(using: &random)
        switch Int.random(in: 0..<12, using: &random) {
        case 0...4: owner.add(Int.random(in: 0..<20, using: &random), bytes: Int.random(in: 0...60, using: &random))
        case 5, 6: owner.begin(most: random.chance(3) ? Int.random(in: 1...3, using: &random) : .max)
        case 7: owner.resume(most: random.chance(3) ? 1 : .max)
        case 8: if let slot { owner.fail(slot, isOutage: true) }
        case 9: if let slot { owner.fail(slot, isOutage: false) }
        case 10: if let slot { owner.again(slot) }
        default:
            owner.hold.succeeded()
            if let slot { owner.end(slot, random.chance(3) ? .parked : .passed) }
        }
    }
}
