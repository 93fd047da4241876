/// How many commands a connection has sent in the minute that runs. Six bytes a connection; pure.
struct OperationMeter: Equatable {
    private var used: UInt32 = 0
    /// Minutes of the loop's clock, cut: one that was idle for exactly 45 days goes on counting where it was.
    private var minute: UInt16 = 0

    /// Counts one more; false if that is over the limit. `now` is in seconds of a clock that never goes back.
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
