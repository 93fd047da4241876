/// How many of those who are to be asked to move should have been asked by now. Pure.
///
/// They are spread evenly over the window, so that the gateways that take them see a trickle; few do not wait for the window's
/// end, for they storm nobody.
struct DrainPace: Equatable {
    /// So many a second at least.
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
