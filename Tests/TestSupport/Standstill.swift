internal import Foundation

/// Where a bound on time is what a test proves: how long nothing ran here meanwhile, which says nothing about what is tested.
public final class Standstill: @unchecked Sendable {
    // @unchecked: what is mutable is touched under the lock.
    private static let pause = 0.01
    /// What is late by less is the scheduler's everyday.
    private static let late = 0.05

    private let lock = NSLock()
    private let began = Date()
    private var looked = Date()
    private var lost = 0.0
    private var isOver = false

    /// Looks at the clock again and again: where a look comes late, nobody was running.
    public init() {
        Thread.detachNewThread { [self] in while look() { Thread.sleep(forTimeInterval: Self.pause) } }
    }

    /// Seconds since it was made, without those.
    public func end() -> Double {
        _ = look()
        return lock.withLock {
            isOver = true
            return Date().timeIntervalSince(began) - lost
        }
    }

    /// Seconds of those until now.
    public var stood: Double {
        _ = look()
        return lock.withLock { lost }
    }

    private func look() -> Bool {
        lock.withLock {
            let now = Date()
            let since = now.timeIntervalSince(looked)
            if since > Self.pause + Self.late { lost += since }
            looked = now
            return !isOver
        }
    }
}
