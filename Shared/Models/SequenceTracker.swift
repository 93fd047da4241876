/// Whether a gateway has heard every batch that was published for it, and in time: the law "Loss is noticed, and idleness is
/// free". Pure.
///
/// The router numbers the batches (`Router`). A number that is skipped shows at the next batch; the last of a burst shows at the
/// lease's renewal, which answers the latest number: if it has not been heard a moment later, it is lost. While others
/// still come it may be behind them, and gets one moment more; then it is late, which is no better for who waits for it.
public struct SequenceTracker: Equatable, Sendable {
    /// How often what is named may still be coming when it is looked for.
    public static let patience = 1

    public private(set) var heard: UInt64 = 0
    /// A number that must be heard some time; 0: none is missing.
    private var awaited: UInt64 = 0
    /// What had been heard when it was last looked at.
    private var heardBefore: UInt64 = 0
    /// How often it has been looked for.
    private var looks = 0
    /// Losses in a row between which nothing at all was heard.
    public private(set) var silentLosses = 0

    public init() {}

    public enum Finding: Equatable, Sendable {
        /// Nothing is missing.
        case complete
        /// Batches are coming, in order: those that are missing are behind them. Look again in a moment.
        case coming
        /// Batches are coming, and what was named is not among them in time.
        case late
        /// What was named never came, and nothing else did.
        case lost
    }

    /// A batch arrived. True if one before it is missing.
    public mutating func batch(_ number: UInt64) -> Bool {
        silentLosses = 0
        guard number > heard else { return false }
        defer { heard = number }
        return number != heard &+ 1
    }

    /// The lease's renewal answered this number. True if it should be looked for in a moment.
    public mutating func renewed(latest: UInt64) -> Bool {
        let looksAlready = awaited > heard
        awaited = max(awaited, latest)
        guard latest > heard, !looksAlready else { return false }
        heardBefore = heard
        looks = 0
        return true
    }

    /// The moment has passed.
    public mutating func check() -> Finding {
        if awaited <= heard { return .complete }
        if heard > heardBefore {
            heardBefore = heard
            looks += 1
            if looks <= Self.patience { return .coming }
            // All sessions are compared now; what comes after that is named by the next renewal.
            awaited = 0
            return .late
        }
        heard = awaited
        silentLosses += 1
        return .lost
    }

    /// All sessions are compared anyway: what came before is settled.
    public mutating func settle(latest: UInt64) {
        heard = max(heard, latest)
        awaited = 0
    }

    /// A new epoch of this instance, or another Redis, counts for itself.
    public mutating func restart() { self = SequenceTracker() }
}
