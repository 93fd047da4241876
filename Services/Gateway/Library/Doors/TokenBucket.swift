/// How many newcomers may come in, and when the others should try again. Pure: it is told the time, in ms of a clock that
/// never goes back.
///
/// No more than `rate` are let in in any second. A tenth of them may come at once. The bucket refills at nine tenths of the rate.
struct TokenBucket: Equatable {
    enum Verdict: Equatable {
        case taken
        /// Come back within so many ms. In that time all that were refused lately could come in one after another.
        case refused(spread: UInt64)
    }

    /// The longest time over which refused newcomers are spread, in ms.
    static let longestSpread: UInt64 = 60_000

    /// Newcomers a second, at least 10.
    let rate: Int
    private var tokens: Double
    /// Newcomers that were refused and have probably not come back yet.
    private var waiting: Double = 0
    private var last: UInt64

    init(rate: Int, now: UInt64) {
        precondition(rate >= 10, "a tenth of the rate must be one or more")
        self.rate = rate
        tokens = Double(rate / 10)
        last = now
    }

    mutating func admit(now: UInt64) -> Verdict {
        if now > last {
            let passed = Double(now - last) / 1000
            let burst = Double(rate / 10)
            tokens = min(burst, tokens + passed * (Double(rate) - burst))
            waiting = max(0, waiting - passed * Double(rate))
            last = now
        }
        if tokens >= 1 {
            tokens -= 1
            return .taken
        }
        waiting += 1
        return .refused(spread: min(Self.longestSpread, UInt64(waiting / Double(rate) * 1000)))
    }
}
