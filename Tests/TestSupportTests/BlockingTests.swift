import Foundation
import Synchronization
import TestSupport
import Testing

/// What waits in a suite that is `.blocking` holds no thread that other tests need.
@Suite(.blocking, .timeLimit(.minutes(1))) struct BlockingTests {
    private final class Calls: Sendable {
        let waiting = Mutex(0)
        let isOver = Mutex(false)

        /// A call that holds its thread until `isOver`.
        func wait() {
            waiting.withLock { $0 += 1 }
            while !isOver.withLock({ $0 }) { holdThread(seconds: 0.001) }
        }
    }

    /// The thread that made the suite.
    private let maker = Thread.current.name

    /// More calls wait than there are cores, all at the same time, and the pool's own tasks run meanwhile.
    @Test func theCooperativePoolGoesOn() async {
        let count = ProcessInfo.processInfo.activeProcessorCount + 2
        let calls = Calls()
        await withDiscardingTaskGroup { group in
            for _ in 0..<count { group.addTask { calls.wait() } }
            while calls.waiting.withLock({ $0 }) < count { holdThread(seconds: 0.001) }
            await Task.detached { calls.isOver.withLock { $0 = true } }.value
        }
    }

    @Test func aTestThatDoesNotSuspendRunsThereToo() {
        #expect(maker == "blocking" && Thread.current.name == "blocking")
    }
}
