/// How long to wait before the next attempt: doubling up to a limit, half of it random, so that many who lost the
/// same server do not come back in step.
struct Backoff {
    private let first: Double
    private let limit: Double
    private var next: Double

    /// Times in milliseconds.
    init(first: Double, limit: Double) {
        self.first = min(first, limit)
        self.limit = limit
        next = self.first
    }

    init(limit: Duration) {
        let (seconds, attoseconds) = limit.components
        let milliseconds = Double(seconds) * 1_000 + Double(attoseconds) / 1e15
        self.init(first: milliseconds / 20, limit: milliseconds)
    }

    /// The pause before the next attempt.
    mutating func delay(using random: inout some RandomNumberGenerator) -> Duration {
        let pause = Double.random(in: next / 2...next, using: &random)
        next = min(next * 2, limit)
        return .milliseconds(Int64(pause.rounded(.up)))
    }

    /// From here on the longest pause only.
    mutating func slowDown() { next = limit }

    /// The attempt has worked: the next pause is the first again.
    mutating func reset() { next = first }
}
