import Models

/// Deadlines of many clients in one ring of seconds: putting one in and taking it out costs the same for 20,000 as for
/// one. Pure; a timer of the loop turns it. A deadline beyond the ring's length is met in steps by who set it.
struct Wheel {
    /// The longest delay in seconds that fits.
    static let length = 64

    private var slots: [[LocalConnection]] = Array(repeating: [], count: Wheel.length)
    private var second: UInt64

    /// How many names it holds, the same one as often as it was put in.
    var count: Int { slots.reduce(0) { $0 + $1.count } }

    init(second: UInt64) { self.second = second }

    /// Names it after `delay` seconds, at least one and at most `length - 1`.
    mutating func add(_ name: LocalConnection, delay: Int) {
        let clamped = UInt64(min(max(delay, 1), Wheel.length - 1))
        slots[Int((second &+ clamped) % UInt64(Wheel.length))].append(name)
    }

    /// All that is due up to and with this second, in its order.
    mutating func turn(to now: UInt64) -> [LocalConnection] {
        var due: [LocalConnection] = []
        // A clock that leapt over the whole ring makes everything due once.
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
