/// How many commands a connection has sent in the present minute. It takes six bytes. Pure.
struct OperationMeter: Equatable {
    private var used: UInt32 = 0
    /// The lower bits of the loop's minutes. A connection that was idle for exactly 45 days goes on counting where it was.
    private var minute: UInt16 = 0

    /// Counts one more command. Answers false if that is over the limit. `now` is in seconds of a clock that never goes back.
    mutating func count(now: UInt64, limit: Int) -> Bool {
        let current = UInt16(truncatingIfNeeded: now / 60)
        if current != minute {
            minute = current
            used = 0
        }
        guard used < limit else { return false }
        used += 1
        return true
    }
}
