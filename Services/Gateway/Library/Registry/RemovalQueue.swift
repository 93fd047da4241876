/// Removals from Redis that are under way, and those that wait to be tried again ("Compare before you remove"). Pure: it decides what is sent, and
/// its owner sends it.
struct RemovalQueue<Item> {
    /// How many are tried again at a time, so that they do not stand before everything else.
    static var portion: Int { 2_000 }
    /// While so many are under way none is tried again.
    static var enoughInFlight: Int { 1_000 }

    enum Step: Equatable {
        /// Send it, and say how it ended.
        case send
        /// It waits. `letGo`: how many of the oldest gave way to it; they are left to the sweep that follows this process.
        case wait(letGo: Int)
    }

    private var backlog: Backlog<Item>
    /// Sent, and not answered.
    private(set) var inFlight = 0

    init(limit: Int = Backlog<Item>.usualLimit) { backlog = Backlog(limit: limit) }

    /// Those that wait.
    var waiting: Int { backlog.count }

    /// Something is to be removed. `isUp`: Redis answers.
    mutating func remove(_ item: Item, isUp: Bool) -> Step {
        guard isUp else { return .wait(letGo: backlog.keep(item)) }
        inFlight += 1
        return .send
    }

    /// What was sent is answered. What failed waits; answers how many gave way to it.
    mutating func answered(_ item: Item, isDone: Bool) -> Int {
        inFlight -= 1
        return isDone ? 0 : backlog.keep(item)
    }

    /// Takes out those whose turn has come; each is to be removed as if it were new.
    mutating func due(isUp: Bool) -> [Item] {
        guard isUp, !backlog.isEmpty, inFlight < Self.enoughInFlight else { return [] }
        return backlog.take(Self.portion)
    }

    /// Nothing is left that a drain would have to wait for: what waits for a Redis that is away is left to the sweep.
    func isSettled(isUp: Bool) -> Bool { inFlight == 0 && (backlog.isEmpty || !isUp) }
}
