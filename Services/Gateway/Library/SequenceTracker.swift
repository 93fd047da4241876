/// Whether this gateway has heard every batch that was published for it (law 3). Pure.
///
/// Batches are numbered by Redis. A number that is skipped shows at the next batch; the last of a burst shows at the
/// lease's renewal, which answers the latest number: if it has not been heard a moment later, it is lost.
struct SequenceTracker: Equatable {
    private(set) var heard: UInt64 = 0
    /// A number that must have been heard by the next check.
    private var awaited: UInt64 = 0

    /// A batch arrived. True if one before it is missing.
    mutating func batch(_ number: UInt64) -> Bool {
        guard number > heard else { return false }
        defer { heard = number }
        return number != heard &+ 1
    }

    /// The lease's renewal answered this number. True if it should be checked for in a moment.
    mutating func renewed(latest: UInt64) -> Bool {
        awaited = latest
        return latest > heard
    }

    /// The moment has passed. True if what the renewal named never came.
    mutating func check() -> Bool {
        guard awaited > heard else { return false }
        heard = awaited
        return true
    }

    /// All sessions are compared anyway: what came before is settled.
    mutating func settle(latest: UInt64) {
        heard = max(heard, latest)
        awaited = 0
    }

    /// A new epoch of this instance counts from the start.
    mutating func restart() { self = SequenceTracker() }
}
