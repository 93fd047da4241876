/// What failed and is tried again, the oldest first; no more than `limit` of it, beyond which the oldest are let go. Pure.
struct Backlog<Item> {
    /// Of removals: what is let go is left to the sweep that follows this process.
    static var usualLimit: Int { 100_000 }

    let limit: Int
    private var items: [Item] = []

    var count: Int { items.count }
    var isEmpty: Bool { items.isEmpty }

    init(limit: Int = Self.usualLimit) {
        precondition(limit > 0, "a backlog holds something")
        self.limit = limit
    }

    /// Keeps one more. Answers how many were let go for it: a hundredth of them all, so that it is not done for each.
    mutating func keep(_ item: Item) -> Int {
        var gone = 0
        if items.count >= limit {
            gone = max(1, limit / 100)
            items.removeFirst(gone)
        }
        items.append(item)
        return gone
    }

    /// Takes the oldest, at most so many.
    mutating func take(_ count: Int) -> [Item] {
        let some = Array(items.prefix(count))
        items.removeFirst(some.count)
        return some
    }
}
