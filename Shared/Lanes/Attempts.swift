/// Failures of one piece of work by its own fault (law "Nothing poisons a partition, and an outage blames no record").
public struct Attempts: Equatable, Sendable {
    @usableFromInline var count = 0

    @inlinable public init() {}

    /// The work failed. An outage says nothing about it and does not count.
    /// - Returns: true if it has failed by its own fault as often as it may.
    @inlinable
    public mutating func failed(isOutage: Bool, limit: Int) -> Bool {
        if isOutage { return false }
        count += 1
        return count >= limit
    }
}
