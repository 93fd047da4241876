import Testing

@testable import Lanes

@Suite struct LanesTests {
    private let open = Hold()

    private func records(_ lanes: Lanes<String>, _ slot: Int) -> [Int] {
        var records: [Int] = []
        lanes.forEachRecord(of: slot) { records.append($0) }
        return records
    }

    @Test func whatComesDuringACallGoesTogetherInTheNext() {
        var lanes = Lanes<String>(LaneBounds(calls: 9, callRecords: 9, attempts: 1))
        #expect(lanes.isEmpty)
        #expect(lanes.add(1, for: "bob") == 0)
        #expect(lanes.next(open) == 0)
        #expect(lanes.add(2, for: "bob") == 0)
        #expect(lanes.add(3, for: "bob") == 0)
        #expect(lanes.next(open) == nil, "one call of a key is under way at most")
        #expect(records(lanes, 0) == [1] && lanes.firstRecord(of: 0) == 1)
        lanes.end(0)
        #expect(lanes.next(open) == 0)
        #expect(records(lanes, 0) == [2, 3] && lanes.key(0) == "bob")
        lanes.end(0)
        #expect(lanes.isEmpty && lanes.busy == 0)
        #expect(lanes.add(4, for: "eve") == 0, "the place is another key's")
        #expect(lanes.key(0) == "eve")
    }

    @Test func callsUnderWayAreBounded() {
        var lanes = Lanes<String>(LaneBounds(calls: 3, attempts: 1))
        for (number, key) in ["a", "b", "c", "d"].enumerated() { lanes.add(number, for: key) }
        #expect(lanes.next(open, most: 1) == 0)
        #expect(lanes.next(open, most: 1) == nil, "the owner may say fewer")
        #expect(lanes.next(open) == 1)
        #expect(lanes.next(open) == 2)
        #expect(lanes.next(open, most: 100) == nil, "and not more")
        lanes.end(1)
        #expect(lanes.next(open) == 3)
        #expect(lanes.callsInFlight == 3)
    }

    @Test func bytesUnderWayAreBounded() {
        var lanes = Lanes<String>(LaneBounds(calls: 9, bytes: 100, callRecords: 9, callBytes: 60, attempts: 1))
        for number in 0..<4 { lanes.add(number, bytes: 30, for: "a") }
        lanes.add(4, bytes: 90, for: "b")
        lanes.add(5, bytes: 1, for: "c")
        #expect(lanes.next(open) == 0)
        #expect(records(lanes, 0) == [0, 1], "as far as a call goes")
        #expect(lanes.next(open) == 1, "one call more may pass the bound")
        #expect(records(lanes, 1) == [4], "the first record of a call may be of any size")
        #expect(lanes.bytesInFlight == 150)
        #expect(lanes.next(open) == nil)
        lanes.end(1)
        #expect(lanes.next(open) == 2)
        #expect(lanes.bytesInFlight == 61)
    }

    @Test func anOutageIsRepeatedForEverAndAFaultIsNot() {
        var lanes = Lanes<String>(LaneBounds(calls: 9, callRecords: 2, attempts: 3))
        for number in 0..<3 { lanes.add(number, for: "a") }
        for _ in 0..<1000 {
            #expect(lanes.next(open) == 0)
            #expect(lanes.failed(0, isOutage: true) == .again)
        }
        for _ in 0..<2 {
            #expect(lanes.next(open) == 0)
            #expect(records(lanes, 0) == [0, 1])
            #expect(lanes.failed(0, isOutage: false) == .again)
        }
        #expect(lanes.next(open) == 0)
        #expect(lanes.failed(0, isOutage: false) == .givenUp([0, 1]))
        // What stands behind has attempts of its own.
        for _ in 0..<2 {
            #expect(lanes.next(open) == 0)
            #expect(lanes.failed(0, isOutage: false) == .again)
        }
        #expect(lanes.next(open) == 0)
        #expect(lanes.failed(0, isOutage: false) == .givenUp([2]))
        #expect(lanes.isEmpty)
    }

    @Test func aCallThatIsMadeAgainKeepsItsRecordsAndItsFaults() {
        var lanes = Lanes<String>(LaneBounds(calls: 9, callRecords: 9, attempts: 2))
        lanes.add(0, for: "a")
        #expect(lanes.next(open) == 0)
        #expect(lanes.failed(0, isOutage: false) == .again)
        lanes.add(1, for: "a")
        #expect(lanes.next(open) == 0)
        #expect(records(lanes, 0) == [0])
        lanes.again(0)
        #expect(lanes.next(open) == 0)
        #expect(records(lanes, 0) == [0])
        #expect(lanes.failed(0, isOutage: false) == .givenUp([0]))
    }

    @Test func whatFailedRestsAndAnOutageHoldsAll() {
        var lanes = Lanes<String>(LaneBounds(calls: 9, attempts: 9))
        var hold = Hold()
        lanes.add(0, for: "a")
        lanes.add(1, for: "b")
        #expect(lanes.next(hold) == 0)
        _ = hold.failed(isOutage: false)
        #expect(lanes.failed(0, isOutage: false) == .again)
        #expect(lanes.next(hold) == 1, "nobody waits for another's fault")
        #expect(lanes.next(hold) == nil)
        _ = hold.failed(isOutage: true)
        #expect(lanes.failed(1, isOutage: true) == .again)
        lanes.add(2, for: "c")
        #expect(lanes.next(hold) == nil)
        hold.resume()
        #expect(lanes.next(hold) == 2)
        #expect(lanes.next(hold) == 0)
        #expect(lanes.next(hold) == 1)
    }

    /// Places and room are used again: memory follows who is busy, not how many came.
    @Test func memoryFollowsWhoIsBusy() {
        var lanes = Lanes<Int>(LaneBounds(calls: 10, callRecords: 3, attempts: 1))
        var next = 0
        for round in 0..<10_000 {
            for _ in 0..<5 {
                lanes.add(next, for: next % 7 + round)
                next += 1
            }
            while let slot = lanes.next(open) { lanes.end(slot) }
        }
        #expect(lanes.isEmpty)
        #expect(lanes.lines.count <= 7 && lanes.nodes.count <= 10 && lanes.ready.slots.count <= 4_096)
    }
}

@Suite struct SlotQueueTests {
    @Test func isAQueue() {
        var queue = SlotQueue()
        for slot in 0..<10_000 { queue.append(slot) }
        for slot in 0..<9_000 { #expect(queue.next() == slot) }
        queue.append(7)
        for slot in 9_000..<10_000 { #expect(queue.next() == slot) }
        #expect(queue.next() == 7)
        #expect(queue.next() == nil)
    }
}

@Suite struct HoldTests {
    @Test func pausesDoubleUntilSomethingWorks() {
        var hold = Hold()
        var pauses: [Duration?] = []
        for _ in 0..<7 {
            pauses.append(hold.failed(isOutage: true))
            #expect(hold.failed(isOutage: true) == nil, "what fails together waits together")
            #expect(hold.state == .outage)
            hold.resume()
        }
        #expect(pauses.compactMap { $0 } == [50, 100, 200, 400, 800, 1000, 1000].map { Duration.milliseconds($0) })
        hold.succeeded()
        #expect(hold.failed(isOutage: false) == .milliseconds(50))
        #expect(hold.state == .resting)
        // An outage during the pause of a fault holds everything, and a fault during an outage lets nothing through.
        #expect(hold.failed(isOutage: true) == nil)
        #expect(hold.state == .outage)
        #expect(hold.failed(isOutage: false) == nil)
        #expect(hold.state == .outage)
        hold.resume()
        #expect(hold.state == .open)
    }

    @Test func halfOfAPauseMayBeLeftToChance() {
        let pause = RetryPause(first: .milliseconds(100), longest: .seconds(1))
        #expect(pause.after(1, random: 0) == .milliseconds(50))
        #expect(pause.after(100, random: 7) == .seconds(1))
        #expect(pause.after(0) == .milliseconds(100))
    }
}
