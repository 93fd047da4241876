import Foundation
import TestSupport
import Testing

@testable import Gateway

/// Removals without a Redis ("Compare before you remove": what fails is tried again until it succeeds).
@Suite struct RemovalQueueTests {
    @Test func whatIsAskedForWhileRedisIsAwayWaits() {
        var queue = RemovalQueue<Int>()
        #expect(queue.remove(1, isUp: false) == .wait(letGo: 0))
        #expect(queue.isSettled(isUp: false) && queue.isSettled(isUp: true) == false)
        #expect(queue.due(isUp: false) == [])
        #expect(queue.due(isUp: true) == [1])
        #expect(queue.remove(1, isUp: true) == .send && queue.inFlight == 1)
        #expect(queue.isSettled(isUp: true) == false)
        #expect(queue.answered(1, isDone: true) == 0)
        #expect(queue.isSettled(isUp: true))
    }

    @Test func whatFailedIsTriedAgainAndTheOldestGiveWay() {
        var queue = RemovalQueue<Int>(limit: 2)
        for item in 0..<3 { #expect(queue.remove(item, isUp: true) == .send) }
        #expect(queue.answered(0, isDone: false) == 0)
        #expect(queue.answered(1, isDone: false) == 0)
        #expect(queue.answered(2, isDone: false) == 1 && queue.waiting == 2)
        #expect(queue.remove(3, isUp: false) == .wait(letGo: 1))
        #expect(queue.due(isUp: true) == [2, 3])
    }

    @Test func noMoreThanAPortionIsTriedAtATimeAndNoneWhileManyAreUnderWay() {
        var queue = RemovalQueue<Int>()
        for item in 0..<RemovalQueue<Int>.portion + 5 { _ = queue.remove(item, isUp: false) }
        let due = queue.due(isUp: true)
        #expect(due == Array(0..<RemovalQueue<Int>.portion))
        for item in due { _ = queue.remove(item, isUp: true) }
        #expect(queue.due(isUp: true) == [])
        for item in due.dropFirst(RemovalQueue<Int>.enoughInFlight - 1) { _ = queue.answered(item, isDone: true) }
        #expect(queue.due(isUp: true).count == 5)
    }

    /// Whatever fails and whenever Redis is away, each is removed, and nothing is under way or waits in the end.
    @Test func everythingIsRemovedInTheEnd() {
        let seed = TestSeed.announced()
        for round in 0..<200 {
            var random = SeededGenerator(seed: seed &+ UInt64(round))
            var queue = RemovalQueue<Int>()
            var (asked, isUp) = (0, true)
            var (sent, removed) = ([Int](), Set<Int>())
            func remove(_ item: Int) { if queue.remove(item, isUp: isUp) == .send { sent.append(item) } }
            func answer(isDone: Bool) {
                guard !sent.isEmpty else { return }
                let item = sent.removeFirst()
                if isDone { removed.insert(item) }
                _ = queue.answered(item, isDone: isDone)
            }
            for _ in 0..<300 {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<3:
                    remove(asked)
                    asked += 1
                case 3..<6: answer(isDone: isUp)
                case 6: answer(isDone: false)
                case 7: isUp.toggle()
                default: for item in queue.due(isUp: isUp) { remove(item) }
                }
            }
            isUp = true
            while !queue.isSettled(isUp: true) {
                for item in queue.due(isUp: true) { remove(item) }
                while !sent.isEmpty { answer(isDone: true) }
            }
            #expect(removed == Set(0..<asked), "TEST_SEED=\(seed), round \(round)")
        }
    }
}
