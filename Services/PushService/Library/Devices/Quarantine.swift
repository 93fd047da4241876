/// Device tokens that Apple called bad. Such a token is left out for an hour; if it is still bad then, it goes. Bounded,
/// and forgotten at a restart, which only makes it last longer. Pure; milliseconds since 1970.
struct Quarantine {
    enum Verdict: Equatable {
        case send, skip
    }

    static let length: Int64 = 3_600_000
    /// A token that is bad again so much later than the first time is judged as if for the first time.
    static let memory: Int64 = 24 * 3_600_000

    let capacity: Int
    private var since: [String: Int64] = [:]

    init(capacity: Int = 10_000) { self.capacity = capacity }

    var count: Int { since.count }

    /// - Parameter registeredAt: a registration that is newer than the quarantine ends it.
    mutating func verdict(on token: String, registeredAt: Int64, now: Int64) -> Verdict {
        guard let began = since[token] else { return .send }
        if registeredAt > began || now - began > Self.memory {
            since[token] = nil
            return .send
        }
        return now - began < Self.length ? .skip : .send
    }

    /// The provider called it bad. True if it had its time and is to be deleted.
    mutating func isBad(_ token: String, now: Int64) -> Bool {
        if let began = since[token] {
            guard now - began >= Self.length else { return false }
            since[token] = nil
            return true
        }
        if since.count >= capacity { since = since.filter { now - $0.value < Self.length } }
        if since.count < capacity { since[token] = now }
        return false
    }

    /// The provider took it.
    mutating func isGood(_ token: String) {
        if !since.isEmpty { since[token] = nil }
    }
}
