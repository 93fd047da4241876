/// Whether this gateway has heard every batch that was published for it (law 3). Pure.
///
/// Batches are numbered by Redis. A number that is skipped shows at the next batch; the last of a burst shows at the
/// lease's renewal, which answers the latest number: if it has not been heard a moment later, it is lost.
struct SequenceTracker: Equatable {
    private(set) var heard: UInt64 = 0
    /// A number that must be heard some time; 0: none is missing.
    private var awaited: UInt64 = 0
    /// What had been heard when it was last looked at.
    private var heardBefore: UInt64 = 0

    enum Finding: Equatable {
        /// Nothing is missing.
        case complete
        /// Batches are coming, in order: those that are missing are behind them. Look again in a moment.
        case coming
        /// What was named never came.
        case lost
    }

    /// A batch arrived. True if one before it is missing.
    mutating func batch(_ number: UInt64) -> Bool {
        guard number > heard else { return false }
        defer { heard = number }
        return number != heard &+ 1
    }

    /// The lease's renewal answered this number. True if it should be looked for in a moment.
    mutating func renewed(latest: UInt64) -> Bool {
        let looksAlready = awaited > heard
        awaited = max(awaited, latest)
        guard latest > heard, !looksAlready else { return false }
        heardBefore = heard
        return true
    }

    /// The moment has passed.
    mutating func check() -> Finding {
        if awaited <= heard { return .complete }
        if heard > heardBefore {
            heardBefore = heard
            return .coming
        }
        heard = awaited
        return .lost
    }

    /// All sessions are compared anyway: what came before is settled.
    mutating func settle(latest: UInt64) {
        heard = max(heard, latest)
        awaited = 0
    }

    /// A new epoch of this instance counts from the start.
    mutating func restart() { self = SequenceTracker() }
}
