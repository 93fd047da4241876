import Models
import Testing

@testable import Gateway

@Suite struct SlabAndWheelTests {
    @Test func anOldNameFindsNobody() throws {
        var slab = Slab<String>()
        let first = slab.insert { _ in "a" }
        let bob = try #require(PersonID("bob"))
        slab.setPerson(bob, of: first)
        #expect(slab[first] == "a" && slab.count == 1)
        slab.remove(first)
        slab.remove(first)
        #expect(slab[first] == nil && slab.count == 0)
        let left = [slab.forget(first), slab.forget(first)]
        #expect(left == [bob, nil])
        let second = slab.insert { _ in "b" }
        #expect(second.index == first.index && second.generation != first.generation)
        #expect(slab[first] == nil && slab[second] == "b")
        #expect(slab[LocalConnection(index: 99, generation: 1)] == nil)
        let nobody = slab.forget(LocalConnection(index: 99, generation: 1))
        #expect(nobody == nil)
    }

    @Test func placesAreReusedTheLongestFreeFirst() {
        var slab = Slab<Int>()
        var names = (0..<3_000).map { number in slab.insert { _ in number } }
        for name in names { slab.remove(name) }
        names = (0..<3_000).map { number in slab.insert { _ in number } }
        #expect(names.map(\.index) == Array(0..<3_000))
        #expect(slab.extent == 3_000 && slab.count == 3_000)
    }

    @Test func theWheelNamesEachInItsSecond() {
        var wheel = Wheel(second: 100)
        let names = (1...5).map { LocalConnection(index: $0, generation: 1) }
        wheel.add(names[0], delay: 0)
        wheel.add(names[1], delay: 1)
        wheel.add(names[2], delay: 3)
        wheel.add(names[3], delay: 63)
        wheel.add(names[4], delay: 500)
        #expect(wheel.turn(to: 100).isEmpty)
        #expect(wheel.turn(to: 101) == [names[0], names[1]])
        #expect(wheel.turn(to: 103) == [names[2]])
        #expect(wheel.turn(to: 162).isEmpty)
        #expect(wheel.turn(to: 163) == [names[3], names[4]])
        wheel.add(names[0], delay: 10)
        #expect(wheel.turn(to: 9_999) == [names[0]])
    }

    @Test func missingAndLateBatchesShow() {
        var tracker = SequenceTracker()
        let inOrder = [tracker.batch(1), tracker.batch(2), tracker.batch(2)]
        #expect(inOrder == [false, false, false])
        let skipped = tracker.batch(4)
        #expect(skipped)
        let known = tracker.renewed(latest: 4)
        #expect(!known)
        let late = [tracker.renewed(latest: 7), tracker.renewed(latest: 7), tracker.batch(5)]
        #expect(late == [true, false, false])
        // Batches come in order, so while they come none is lost.
        let coming = tracker.check()
        #expect(coming == .coming)
        let rest = [tracker.batch(6), tracker.batch(7)]
        let complete = tracker.check()
        #expect(rest == [false, false] && complete == .complete)
        let again = tracker.renewed(latest: 8)
        let (lost, settled) = (tracker.check(), tracker.check())
        #expect(again && lost == .lost && settled == .complete)
        #expect(tracker.silentLosses == 1)
        let next = tracker.batch(9)
        #expect(!next && tracker.silentLosses == 0)
    }

    @Test func whatIsBehindTheOthersForTooLongIsLate() {
        var tracker = SequenceTracker()
        _ = tracker.renewed(latest: 9)
        var findings: [SequenceTracker.Finding] = []
        for number in 1...3 as ClosedRange<UInt64> {
            _ = tracker.batch(number)
            findings.append(tracker.check())
        }
        #expect(findings == [.coming, .late, .complete])
        // What is late still comes in order, and is no loss any more.
        let order = (4...9).map { tracker.batch($0) }
        #expect(order.allSatisfy { !$0 })
        let again = tracker.renewed(latest: 12)
        #expect(again && tracker.check() == .lost)
    }

    @Test func whatCameLateOnceHasItsTimeAgainTheNextTime() {
        var tracker = SequenceTracker()
        _ = tracker.renewed(latest: 9)
        for number in 1...2 as ClosedRange<UInt64> {
            _ = tracker.batch(number)
            _ = tracker.check()
        }
        let again = tracker.renewed(latest: 12)
        _ = tracker.batch(3)
        let (coming, late) = (tracker.check(), tracker.batch(4) ? nil : tracker.check())
        #expect(again && coming == .coming && late == .late)
    }

    /// Answers may come out of order: an earlier number takes nothing back.
    @Test func anEarlierNumberTakesNothingBack() {
        var tracker = SequenceTracker()
        let renewals = [tracker.renewed(latest: 9), tracker.renewed(latest: 7)]
        for number in 1...7 as ClosedRange<UInt64> { _ = tracker.batch(number) }
        let coming = tracker.check()
        #expect(renewals == [true, false] && coming == .coming)
        tracker.settle(latest: 5)
        let (complete, next) = (tracker.check(), tracker.batch(8))
        #expect(complete == .complete && !next)
    }

    @Test func aRestartCountsFromWhatTheNextServerSays() {
        var tracker = SequenceTracker()
        _ = tracker.batch(1)
        _ = tracker.batch(500)
        tracker.restart()
        tracker.settle(latest: 480)
        let order = [tracker.batch(481), tracker.batch(483)]
        #expect(order == [false, true])
    }

    /// However often a client trades its token for one that ends sooner, it is looked at in one series, and closed in time.
    @Test func endsOfTokensDoNotMultiply() {
        var ends = TokenEnds(second: 1_000)
        let (often, gone) = (LocalConnection(index: 1, generation: 1), LocalConnection(index: 2, generation: 1))
        var exp = [often: 5_000]
        ends.watch(often, left: 4_000)
        ends.watch(gone, left: 500)
        for second in 1_000..<1_500 {
            for left in [40, 300, 50] where second.isMultiple(of: 10) { ends.hasten(often, left: left) }
            #expect(ends.turn(to: UInt64(second)) { name in exp[name].map { $0 - second } } == [])
        }
        // Two for each of the last 50 seconds' tokens that end soon, and the series.
        #expect(ends.count <= 2 * 2 * 6 + 1)
        exp[often] = 1_530
        ends.hasten(often, left: 30)
        #expect(ends.turn(to: 1_529) { name in exp[name].map { $0 - 1_529 } } == [])
        #expect(ends.turn(to: 1_530) { name in exp[name].map { $0 - 1_530 } }.contains(often))
        exp = [:]
        _ = ends.turn(to: 1_600) { _ in nil }
        #expect(ends.count == 0)
    }

    @Test func aBacklogIsTakenInOrderAndBounded() {
        var backlog = Backlog<Int>(limit: 200)
        #expect((0..<200).allSatisfy { backlog.keep($0) == 0 })
        #expect(backlog.keep(200) == 2 && backlog.count == 199)
        #expect(backlog.removeOldest(3) == [2, 3, 4] && backlog.removeOldest(1_000) == Array(5...200) && backlog.isEmpty)
        #expect(backlog.removeOldest(1) == [])
        #expect(Backlog<Int>().limit == 100_000)
    }
}
