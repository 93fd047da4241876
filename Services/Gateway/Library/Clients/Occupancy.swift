import Models
import Network
import Synchronization

/// What all loops of one gateway count together, because the limits hold for the process: connections, connections of a person
/// and of an address, and newcomers a second. It is used when a connection comes and goes, and never for a delivery. May be
/// used from any thread.
///
/// A person costs about 20 bytes here and an address about 15, however many connections they have.
final class Occupancy: Sendable {
    /// So many connections more than each limit may exist, to be told in words to come back later.
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

    /// - Parameter address: the key under which it was counted; 0 if it counted for no address.
    func leave(address: UInt32) {
        streams.subtract(1, ordering: .relaxed)
        if address != 0 { leaveAddress(address) }
    }

    // MARK: Addresses

    /// The key under which an address is counted. It is a hash, because each connection keeps it in four bytes. Two addresses
    /// with the same hash (of 4 billion, with a secret of this process) share their limit. Never 0.
    static func key(_ address: NetworkAddress) -> UInt32 { address.siteKey }

    /// Counts one more connection of the address. If it has `limit` of them, it counts nothing and answers false.
    func enterAddress(_ key: UInt32, limit: Int) -> Bool { counts.withLock { $0.addresses.enter(key, limit: limit) } }

    func leaveAddress(_ key: UInt32) { counts.withLock { $0.addresses.leave(key) } }

    func connections(ofAddress key: UInt32) -> Int { counts.withLock { $0.addresses[key] } }

    // MARK: People

    private static func key(_ person: PersonID) -> UInt64 { UInt64(bitPattern: Int64(person.hashValue)) }

    /// Counts one more session of the person. If the person has `limit` of them, it counts nothing and answers false.
    func enter(_ person: PersonID, limit: Int) -> Bool {
        counts.withLock { $0.people.enter(Self.key(person), limit: limit) }
    }

    func leave(_ person: PersonID) { counts.withLock { $0.people.leave(Self.key(person)) } }

    // MARK: Newcomers

    /// - Parameter now: ms of a monotonic clock, the same for all loops.
    func admit(now: UInt64) -> TokenBucket.Verdict { counts.withLock { $0.newcomers.admit(now: now) } }
}

/// How many there are of each key. A key of which there is none costs nothing. Pure.
struct Headcount<Key: Hashable & Sendable>: Sendable {
    private var counts: [Key: UInt32] = [:]

    subscript(key: Key) -> Int { Int(counts[key] ?? 0) }

    /// How many keys there are.
    var keys: Int { counts.count }

    /// Counts one more. If there are `limit` of the key, it counts nothing and answers false.
    mutating func enter(_ key: Key, limit: Int) -> Bool {
        let count = counts[key] ?? 0
        guard count < limit else { return false }
        counts[key] = count + 1
        return true
    }

    /// Counts one less.
    mutating func leave(_ key: Key) {
        guard let count = counts[key] else { return }
        counts[key] = count > 1 ? count - 1 : nil
    }
}
