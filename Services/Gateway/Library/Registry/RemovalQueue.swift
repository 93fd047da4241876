/// Removals from Redis that are under way, and those that wait to be tried again ("Compare before you remove"). Pure: it
/// decides what is sent, and its owner sends it.
struct RemovalQueue<Item> {
    /// How many are tried again at a time, so that they do not delay all other calls.
    static var portion: Int { 2_000 }
    /// While so many are under way, none is tried again.
    static var enoughInFlight: Int { 1_000 }

    enum Step: Equatable {
        /// Send it, and call `answered`.
        case send
        /// It waits. `letGo`: how many of the oldest were dropped for it. The sweep that follows this process does them.
        case wait(letGo: Int)
    }

    private var backlog: Backlog<Item>
    /// How many were sent and not answered.
    private(set) var inFlight = 0

    init(limit: Int = Backlog<Item>.usualLimit) { backlog = Backlog(limit: limit) }

    /// How many wait.
    var waiting: Int { backlog.count }

    /// An item is to be removed. `isUp`: Redis answers.
    mutating func remove(_ item: Item, isUp: Bool) -> Step {
        guard isUp else { return .wait(letGo: backlog.keep(item)) }
        inFlight += 1
        return .send
    }

    /// A removal was answered. One that failed waits. Answers how many were dropped for it.
    mutating func answered(_ item: Item, isDone: Bool) -> Int {
        inFlight -= 1
        return isDone ? 0 : backlog.keep(item)
    }

    /// Takes the items whose turn has come out of the queue. Each is to be removed as if it were new.
    mutating func due(isUp: Bool) -> [Item] {
        guard isUp, !backlog.isEmpty, inFlight < Self.enoughInFlight else { return [] }
        return backlog.removeOldest(Self.portion)
    }

    /// Whether a drain need not wait any more. Removals that wait for a Redis that is away are left to the sweep.
    func isSettled(isUp: Bool) -> Bool { inFlight == 0 && (backlog.isEmpty || !isUp) }
}
