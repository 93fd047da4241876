import Models

/// When the tokens of many clients end. Most ends are further off than a wheel reaches. Pure.
///
/// Each client is looked at at least once in each turn of the wheel. A token that ends before the next look gets two looks of
/// its own. These are not repeated, so a client that refreshes again and again does not multiply them.
struct TokenEnds {
    private var looks: Wheel
    private var soon: Wheel

    /// Names that it holds.
    var count: Int { looks.count + soon.count }

    init(second: UInt64) {
        looks = Wheel(second: second)
        soon = Wheel(second: second)
    }

    /// Begins to watch a client. To be called once for each. `left`: seconds until its token ends.
    mutating func watch(_ name: LocalConnection, left: Int) { looks.add(name, delay: left) }

    /// The client has a new token, which ends sooner.
    mutating func hasten(_ name: LocalConnection, left: Int) {
        guard left < Wheel.length - 1 else { return }
        // The wall clock and the wheel begin their seconds at different moments, so the first look may come a little early.
        soon.add(name, delay: left)
        soon.add(name, delay: left + 1)
    }

    /// The clients whose tokens have ended by this second. Some may be named twice. `left` answers how many seconds a client's
    /// token has left; nil if the client has gone.
    mutating func turn(to now: UInt64, left: (LocalConnection) -> Int?) -> [LocalConnection] {
        var ended: [LocalConnection] = []
        for name in looks.turn(to: now) {
            guard let left = left(name) else { continue }
            if left <= 0 { ended.append(name) } else { looks.add(name, delay: left) }
        }
        for name in soon.turn(to: now) {
            if let left = left(name), left <= 0 { ended.append(name) }
        }
        return ended
    }
}
