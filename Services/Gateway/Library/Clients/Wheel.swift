import Models

/// Deadlines of many clients in one ring of seconds. To add one costs the same for 20,000 as for one. A timer of the loop turns it.
/// A deadline that is further off than the ring is long is reached in several steps. Pure.
struct Wheel {
    /// The longest delay in seconds that fits.
    static let length = 64

    private var slots: [[LocalConnection]] = Array(repeating: [], count: Wheel.length)
    private var second: UInt64

    /// How many names it holds. A name counts as often as it was added.
    var count: Int { slots.reduce(0) { $0 + $1.count } }

    init(second: UInt64) { self.second = second }

    /// Adds a name that is due after `delay` seconds: at least one, and at most `length - 1`.
    mutating func add(_ name: LocalConnection, delay: Int) {
        let clamped = UInt64(min(max(delay, 1), Wheel.length - 1))
        slots[Int((second &+ clamped) % UInt64(Wheel.length))].append(name)
    }

    /// The names that are due up to and including this second, in the order of their seconds.
    mutating func turn(to now: UInt64) -> [LocalConnection] {
        var due: [LocalConnection] = []
        // If the clock leapt over the whole ring, each name is due once.
        let steps = now > second ? min(now - second, UInt64(Wheel.length)) : 0
        for step in 0..<steps {
            let slot = Int((second &+ step &+ 1) % UInt64(Wheel.length))
            due.append(contentsOf: slots[slot])
            slots[slot] = []
        }
        second = max(second, now)
        return due
    }
}
