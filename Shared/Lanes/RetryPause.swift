/// How long to wait before something that failed is tried again: twice as long each time, up to a limit.
public struct RetryPause: Sendable {
    public let first: Duration
    public let longest: Duration

    public init(first: Duration, longest: Duration) {
        self.first = first
        self.longest = longest
    }

    /// The pause after so many failures in a row.
    /// - Parameter random: 0 to 1; half of the pause is left to it, so that many who failed together do not come back together.
    public func after(_ failures: Int, random: Double = 1) -> Duration {
        let doubled = first * (1 << min(max(0, failures - 1), 20))
        return min(doubled, longest) * (0.5 + 0.5 * min(max(random, 0), 1))
    }
}
