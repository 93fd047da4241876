import Models
import Store

/// Decides which gateways are dead, from what one presence-service sees of their leases. Pure: it is told the time.
///
/// An instance is dead when its counter was seen to stand still for the length of the lease while Redis answered all the time.
/// If Redis did not answer, or this process itself was held up, the time starts again for everybody: the gateways may have been
/// as unable to renew as we were to look. Times are ms of a monotonic clock.
struct LeaseWatch {
    /// What to do about an instance.
    enum Verdict: Equatable {
        /// It stood still at this count.
        case dead(InstanceID, count: UInt64)
        /// It was condemned already, by us or by another, and is not swept yet.
        case condemned(InstanceID)
    }

    private struct Sighting {
        var count: UInt64
        /// When this count was first seen. Since then it has stood still.
        var since: UInt64
    }

    private let length: UInt64
    /// The longest that two answers may lie apart and still count as "all the time".
    private let patience: UInt64
    private var sightings: [InstanceID: Sighting] = [:]
    /// When the latest answer came, if nothing has gone wrong since.
    private var lastAnswer: UInt64?

    init(length: UInt64, patience: UInt64) {
        self.length = length
        self.patience = patience
    }

    /// Gateways that are seen and not condemned.
    var living: Int { sightings.count }

    /// A look failed, or Redis is known to be away.
    mutating func failed() { lastAnswer = nil }

    /// A look that was asked for at `asked` and answered at `now`.
    mutating func answered(_ leases: [Lease], asked: UInt64, now: UInt64) -> [Verdict] {
        let isUnbroken = lastAnswer.map { now >= $0 && now - $0 <= patience && asked <= now } ?? false
        lastAnswer = now
        var verdicts: [Verdict] = []
        var seen: [InstanceID: Sighting] = [:]
        for lease in leases {
            guard let count = lease.count else {
                verdicts.append(.condemned(lease.instance))
                continue
            }
            var sighting = Sighting(count: count, since: now)
            if isUnbroken, let known = sightings[lease.instance], known.count == count { sighting.since = known.since }
            seen[lease.instance] = sighting
            // The answer says how the counter stood when it was asked for, or later.
            if asked >= sighting.since, asked - sighting.since >= length { verdicts.append(.dead(lease.instance, count: count)) }
        }
        sightings = seen
        return verdicts
    }
}
