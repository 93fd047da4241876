public import Models

/// What an event becomes.
public enum Decision: Equatable, Sendable {
    case notify(Treatment)
    /// Past its time to live: it disturbs nobody.
    case expired
    /// Nobody is left to be notified: the event names only its actor.
    case nobody
}

/// How a notification goes out.
public struct Treatment: Equatable, Sendable {
    /// One record each, in this order.
    public var audiences: [Audience]
    public var priority: Priority
    /// People who are offline get it through a provider.
    public var push: Bool
    /// ms since 1970: when the event happened.
    public var createdAt: Int64
    /// ms since 1970.
    public var expiresAt: Int64
    /// From `accepted` to `expiresAt`, rounded up; at least 1.
    public var ttlSeconds: Int64

    public init(
        audiences: [Audience], priority: Priority, push: Bool, createdAt: Int64, expiresAt: Int64, ttlSeconds: Int64
    ) {
        self.audiences = audiences
        self.priority = priority
        self.push = push
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.ttlSeconds = ttlSeconds
    }
}

/// The moments that bear on a decision, in ms since 1970.
public struct Moments: Equatable, Sendable {
    /// When the event happened: its own `time`, else the timestamp of the record. A time in the future counts as now, so a
    /// clock that is ahead gives no longer life.
    public let happened: Int64
    /// `happened` is the event's own `time`.
    public let isOwnTime: Bool
    /// When its record reached Kafka: the timestamp of the record, and never later than now. Carillon answers for every delay
    /// from here on.
    public let accepted: Int64
    public let now: Int64

    public init(eventTime: Int64?, recordTimestamp: Int64, now: Int64) {
        // A record without a timestamp (-1, from a very old producer) counts as new.
        isOwnTime = eventTime != nil
        accepted = recordTimestamp > 0 ? min(recordTimestamp, now) : now
        happened = min(eventTime ?? accepted, now)
        self.now = now
    }
}

/// Decides once for an event and all whom it names. The same input gives the same answer.
/// - Parameters:
///   - policy: nil where no policy names the type.
///   - dedupWindow: ms within which `source` and `id` are known to be one event.
/// - Throws: `unknown_type`, `too_old`, or `invalid_data` for an audience that is not served, or for an event that says nothing.
public func decide(
    _ data: borrowing EventData, policy: Policy?, moments: Moments, dedupWindow: Int64
) throws(DeadLetter) -> Decision {
    guard let policy else { throw DeadLetter(.unknownType, "no policy names the type") }
    guard policy.silent || data.title != nil || data.template != nil else {
        throw DeadLetter(.invalidData, "data.title and data.template are both missing, and the policy is not silent")
    }
    // This comes before the time to live: what is older than the window could be a repetition of anything.
    let (age, over) = moments.now.subtractingReportingOverflow(moments.happened)
    guard !over, age <= dedupWindow else {
        throw DeadLetter(.tooOld, "\(moments.isOwnTime ? "the event's time" : "the record's timestamp") is older than DEDUP_WINDOW")
    }
    let expiresAt = moments.happened + (data.ttlSeconds ?? policy.ttlSeconds) * 1000
    guard expiresAt > moments.now else { return .expired }
    let audiences = try expand(data.audience, actor: data.actor)
    guard !audiences.isEmpty else { return .nobody }
    return .notify(
        Treatment(
            audiences: audiences, priority: data.priority ?? policy.priority, push: policy.channels.contains(.push),
            createdAt: moments.happened, expiresAt: expiresAt, ttlSeconds: (expiresAt - moments.accepted + 999) / 1000))
}

/// Each person who is named gets one record, and the actor gets none. Any other audience stays one record.
private func expand(_ audience: Audience, actor: PersonID?) throws(DeadLetter) -> [Audience] {
    switch audience {
    case .user(let person): return person == actor ? [] : [audience]
    case .users(let people):
        var seen: Set<PersonID> = []
        return people.filter { $0 != actor && seen.insert($0).inserted }.map { .user($0) }
    case .channel: return [audience]
    case .followersOf: throw DeadLetter(.invalidData, "data.audience.followersOf is not served yet")
    case .broadcast: throw DeadLetter(.invalidData, "data.audience.broadcast is not served yet")
    }
}
