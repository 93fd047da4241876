import Synchronization

/// What all loops of one gateway count together, because its limits are the process's. Counted when a connection comes and
/// when it goes, never for a delivery. From any thread.
final class Occupancy: Sendable {
    /// Kept above MAX_CONNECTIONS for those who are told in words to come back later.
    static let reserve = 192

    private let streams = Atomic<Int>(0)

    /// Connections of clients, in whatever state.
    var connections: Int { streams.load(ordering: .relaxed) }

    func enter() { streams.add(1, ordering: .relaxed) }

    func leave() { streams.subtract(1, ordering: .relaxed) }
}
