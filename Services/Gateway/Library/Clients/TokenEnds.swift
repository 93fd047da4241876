import Models

/// When the tokens of many clients end, most of them further off than a wheel reaches. Pure.
///
/// Each client is looked at again at least as often as the wheel turns round. A token that ends before the next of these looks
/// gets two of its own, which no other follows: whoever refreshes again and again does not multiply them.
struct TokenEnds {
    private var looks: Wheel
    private var soon: Wheel

    /// Names that it holds.
    var count: Int { looks.count + soon.count }

    init(second: UInt64) {
        looks = Wheel(second: second)
        soon = Wheel(second: second)
    }

    /// From now on; once for each client. `left`: seconds until its token ends.
    mutating func watch(_ name: LocalConnection, left: Int) { looks.add(name, delay: left) }

    /// The client has another token, which ends sooner.
    mutating func hasten(_ name: LocalConnection, left: Int) {
        guard left < Wheel.length - 1 else { return }
        // The clock that tokens end by and the wheel's begin their seconds at different moments: the first may be a little early.
        soon.add(name, delay: left)
        soon.add(name, delay: left + 1)
    }

    /// All whose tokens have ended by this second, some of them perhaps twice. `left` answers how many seconds a client's token
    /// has left; nil if it is gone.
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
