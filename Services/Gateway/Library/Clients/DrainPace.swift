/// How many clients should have been asked to leave by now. Pure.
///
/// They are spread evenly over the window, so that other gateways get them slowly. If there are few clients, they leave faster than
/// that, because they storm nobody.
struct DrainPace: Equatable {
    /// Clients that leave in a second, at least.
    static let leastRate = 100

    let count: Int
    /// In ms.
    let window: UInt64

    /// - Parameter elapsed: ms since the drain began.
    func due(elapsed: UInt64) -> Int {
        guard elapsed < window else { return count }
        let share = Double(elapsed) / Double(window) * Double(count)
        return min(count, max(Int(share), Int(elapsed) * Self.leastRate / 1000))
    }
}
