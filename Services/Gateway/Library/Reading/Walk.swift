/// A walk over all places, with a bound on the reads that are under way at a time. Pure.
struct Walk {
    enum Step: Equatable {
        /// Look at this place, then call `visited`.
        case visit(UInt32)
        /// Wait for a read to end; or the walk has ended.
        case rest
    }

    let window: Int
    /// The next place; nil if there is no walk.
    private var next: UInt32?
    private var isWantedAgain = false
    private(set) var inFlight = 0

    init(window: Int) { self.window = window }

    var isWalking: Bool { next != nil }

    /// Starts at the first place. If a walk is under way, a whole one follows it.
    mutating func start() {
        if next == nil { next = 0 } else { isWantedAgain = true }
    }

    /// Redis has gone. The next walk starts at the first place.
    mutating func stop() {
        next = nil
        isWantedAgain = false
    }

    mutating func step(extent: UInt32) -> Step {
        guard let index = next, inFlight < window else { return .rest }
        guard index < extent else {
            next = isWantedAgain ? 0 : nil
            isWantedAgain = false
            return next == nil || extent == 0 ? .rest : step(extent: extent)
        }
        next = index + 1
        return .visit(index)
    }

    /// The visit to a place began a read.
    mutating func began() { inFlight += 1 }

    /// A read of the walk has ended, with success or not.
    mutating func readEnded() { inFlight -= 1 }
}
