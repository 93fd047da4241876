import Models
import Network
import Synchronization

/// What all loops of one gateway count together, because its limits are the process's: connections, a person's and an
/// address's, and newcomers a second. Touched when a connection comes and when it goes, never for a delivery. From any thread.
///
/// A person costs about 20 bytes here and an address about 15, however many connections they have.
final class Occupancy: Sendable {
    /// Kept above each limit for those who are told in words to come back later.
    static let reserve = 192

    private struct Counts {
        var people = Headcount<UInt64>()
        var addresses = Headcount<UInt32>()
        var newcomers: TokenBucket
    }

    private let streams = Atomic<Int>(0)
    private let counts: Mutex<Counts>

    /// - Parameters:
    ///   - rate: newcomers a second.
    ///   - now: ms of a monotonic clock.
    init(rate: Int, now: UInt64) { counts = Mutex(Counts(newcomers: TokenBucket(rate: rate, now: now))) }

    // MARK: Connections

    /// Connections of clients, in whatever state.
    var connections: Int { streams.load(ordering: .relaxed) }

    func enter() { streams.add(1, ordering: .relaxed) }

    /// - Parameter address: what it was counted under; 0 if under none.
    func leave(address: UInt32) {
        streams.subtract(1, ordering: .relaxed)
        if address != 0 { leaveAddress(address) }
    }

    // MARK: Addresses

    /// What an address is counted under: a hash, for a connection keeps it to its end and has four bytes for it. Two addresses
    /// that meet in one (of 4 billion, by this process's secret) share their limit. Never 0.
    static func key(_ address: NetworkAddress) -> UInt32 { address.siteKey }

    /// One more connection of the address; false, and nothing is counted, if it has `limit` of them.
    func enterAddress(_ key: UInt32, limit: Int) -> Bool { counts.withLock { $0.addresses.enter(key, limit: limit) } }

    func leaveAddress(_ key: UInt32) { counts.withLock { $0.addresses.leave(key) } }

    func connections(ofAddress key: UInt32) -> Int { counts.withLock { $0.addresses[key] } }

    // MARK: People

    private static func key(_ person: PersonID) -> UInt64 { UInt64(bitPattern: Int64(person.hashValue)) }

    /// One more session of the person; false, and nothing is counted, if she has `limit` of them.
    func enter(_ person: PersonID, limit: Int) -> Bool {
        counts.withLock { $0.people.enter(Self.key(person), limit: limit) }
    }

    func leave(_ person: PersonID) { counts.withLock { $0.people.leave(Self.key(person)) } }

    // MARK: Newcomers

    /// - Parameter now: ms of a monotonic clock, the same for all loops.
    func admit(now: UInt64) -> TokenBucket.Verdict { counts.withLock { $0.newcomers.take(now: now) } }
}

/// How many there are of each; who is not there is not kept. Pure.
struct Headcount<Key: Hashable & Sendable>: Sendable {
    private var counts: [Key: UInt32] = [:]

    subscript(key: Key) -> Int { Int(counts[key] ?? 0) }

    /// How many keys are kept.
    var keys: Int { counts.count }

    /// One more; false, and nothing is counted, if there are `limit` of it.
    mutating func enter(_ key: Key, limit: Int) -> Bool {
        let count = counts[key] ?? 0
        guard count < limit else { return false }
        counts[key] = count + 1
        return true
    }

    /// One less.
    mutating func leave(_ key: Key) {
        guard let count = counts[key] else { return }
        counts[key] = count > 1 ? count - 1 : nil
    }
}
