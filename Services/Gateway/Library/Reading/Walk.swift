/// A paced walk over all places of the slab: only so many reads at the same time. Pure.
struct Walk {
    enum Step: Equatable {
        /// Look at this place, then call `visited`.
        case visit(UInt32)
        /// Wait for a read to end, or nothing is left to do.
        case rest
    }

    let window: Int
    /// The next place; nil while nobody walks.
    private var next: UInt32?
    private var isWantedAgain = false
    private(set) var inFlight = 0

    init(window: Int) { self.window = window }

    var isWalking: Bool { next != nil }

    /// From the first place on; a walk that is under way is followed by a whole one.
    mutating func start() {
        if next == nil { next = 0 } else { isWantedAgain = true }
    }

    /// Redis has gone: whoever starts again starts from the first.
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

    /// A visited place began a read.
    mutating func began() { inFlight += 1 }

    /// A read of the walk has ended, well or not.
    mutating func ended() { inFlight -= 1 }
}
