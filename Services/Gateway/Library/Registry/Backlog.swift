/// Items that failed and are to be tried again, the oldest first. Beyond `limit` the oldest are dropped. Pure.
struct Backlog<Item> {
    /// The limit for removals. The sweep that follows this process does what was dropped.
    static var usualLimit: Int { 100_000 }

    let limit: Int
    private var items: [Item] = []

    var count: Int { items.count }
    var isEmpty: Bool { items.isEmpty }

    init(limit: Int = Self.usualLimit) {
        precondition(limit > 0, "a backlog holds something")
        self.limit = limit
    }

    /// Adds one. Answers how many were dropped for it: a hundredth of all, so that this does not happen for each item.
    mutating func keep(_ item: Item) -> Int {
        var gone = 0
        if items.count >= limit {
            gone = max(1, limit / 100)
            items.removeFirst(gone)
        }
        items.append(item)
        return gone
    }

    /// Removes and answers the oldest items, at most so many.
    mutating func removeOldest(_ count: Int) -> [Item] {
        let some = Array(items.prefix(count))
        items.removeFirst(some.count)
        return some
    }
}
