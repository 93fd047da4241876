internal import Network

/// How many wrong API keys each source may still try. Pure: it is told the time, in ms of a clock that never goes back.
///
/// A source is an address, and one address may stand for many callers: an office, or a balancer that does not say for whom it
/// asks. A source from which the right key came lately is *known*: somebody with the key is among its callers, and must not pay
/// for the others.
struct KeyTrials: Sendable {
    /// The most sources that are remembered. All others count as one. Reached in KeyTrialsTests.
    static let maximumSources = 1024
    /// For how many ms a source is known after the right key came from it.
    static let knownFor: UInt64 = 3_600_000

    private struct Source {
        /// Wrong keys that may be tried now; refills within a minute.
        var left: Double
        var updated: UInt64
        var knownUntil: UInt64 = 0
    }

    private let perMinute: Double
    private var sources: [NetworkAddress: Source] = [:]
    private var others: Source

    /// - Parameter failures: wrong keys a minute that one source may try, all of them at once if it likes.
    init(failures: Int) {
        perMinute = Double(failures)
        others = Source(left: perMinute, updated: 0)
    }

    /// How many sources are remembered.
    var count: Int { sources.count }

    /// In how many ms the source may try another key; nil: now.
    func wait(_ source: NetworkAddress, now: UInt64) -> UInt64? {
        let stranger = sources.count < Self.maximumSources ? fresh(now) : others
        let left = refilled(sources[source.site] ?? stranger, now).left
        return left >= 1 ? nil : UInt64((1 - left) / perMinute * 60_000) + 1
    }

    func isKnown(_ source: NetworkAddress, now: UInt64) -> Bool { now < sources[source.site]?.knownUntil ?? 0 }

    mutating func failed(_ source: NetworkAddress, now: UInt64) {
        let site = source.site
        let hasRoom = sources[site] != nil || makeRoom(now)
        var entry = refilled(hasRoom ? sources[site] ?? fresh(now) : others, now)
        entry.left = max(0, entry.left - 1)
        if hasRoom { sources[site] = entry } else { others = entry }
    }

    mutating func succeeded(_ source: NetworkAddress, now: UInt64) {
        let site = source.site
        if sources[site] == nil, !makeRoom(now) {
            // A source with the right key takes the place of one that guesses.
            guard let stranger = sources.first(where: { $0.value.knownUntil <= now })?.key else { return }
            sources[stranger] = nil
        }
        var entry = refilled(sources[site] ?? fresh(now), now)
        entry.knownUntil = now + Self.knownFor
        sources[site] = entry
    }

    private func fresh(_ now: UInt64) -> Source { Source(left: perMinute, updated: now) }

    private func refilled(_ source: Source, _ now: UInt64) -> Source {
        var source = source
        source.left = min(perMinute, source.left + Double(now - min(now, source.updated)) / 60_000 * perMinute)
        source.updated = max(now, source.updated)
        return source
    }

    /// Forgets sources with nothing left to remember, if there is no room. Returns whether there is room for one more.
    private mutating func makeRoom(_ now: UInt64) -> Bool {
        guard sources.count >= Self.maximumSources else { return true }
        sources = sources.filter { $0.value.knownUntil > now || refilled($0.value, now).left < perMinute }
        return sources.count < Self.maximumSources
    }
}
