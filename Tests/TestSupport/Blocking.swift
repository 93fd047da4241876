internal import Foundation
public import Testing

/// Runs a suite's tests on threads of their own. A suite whose tests start servers or programs, hold a `RawSocket`, or ask Kafka
/// from the calling thread carries it: `@Suite(.blocking)`.
///
/// Swift's cooperative pool has as many threads as the machine has cores. Two calls that wait there, on two cores, stop every
/// other test of the run for as long as they wait, and with them the timed waits of tests that block nothing.
public struct BlockingTrait: SuiteTrait, TestTrait, TestScoping {
    public var isRecursive: Bool { true }

    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(BlockingThreads.shared) { try await function() }
    }
}

extension Trait where Self == BlockingTrait {
    public static var blocking: Self { Self() }
}

/// Holds the calling thread, as a call that blocks does. In a suite that is `.blocking`, on a loop that shall stand still, or on a
/// thread of a test's own; what only waits for something awaits `Task.sleep`.
public func holdThread(seconds: Double) { Thread.sleep(forTimeInterval: seconds) }

/// Runs each job at once: on a thread that waits for one, or on a new one. There are as many threads as jobs ran at the same time,
/// and the tests' width bounds those.
private final class BlockingThreads: TaskExecutor, @unchecked Sendable {
    // @unchecked: what is mutable is touched under the condition's lock.

    static let shared = BlockingThreads()

    private let condition = NSCondition()
    private var jobs: [UnownedJob] = []
    /// Threads that wait for a job.
    private var idle = 0

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        condition.lock()
        jobs.append(job)
        let needsThread = jobs.count > idle
        condition.signal()
        condition.unlock()
        if needsThread { Thread.detachNewThread { [self] in run() } }
    }

    private func run() -> Never {
        Thread.current.name = "blocking"
        while true { next().runSynchronously(on: asUnownedTaskExecutor()) }
    }

    private func next() -> UnownedJob {
        condition.lock()
        defer { condition.unlock() }
        idle += 1
        while jobs.isEmpty { condition.wait() }
        idle -= 1
        return jobs.removeFirst()
    }
}
