import Models
import Rules
import Testing

private let now: Int64 = 1_800_000_000_000
private let week: Int64 = 604_800_000
private let policy = Policy(category: "social", priority: .normal, channels: [.inApp, .push], ttlSeconds: 60, silent: true)

private func data(_ json: String) throws -> EventData {
    let text = #"{"specversion":"1.0","id":"1","source":"s","type":"t","data":"# + json + "}"
    return try EventData.read(try CloudEvent.structured(Array(text.utf8)))
}

private func decision(
    _ json: String, policy: Policy? = policy, eventTime: Int64? = now, recordTimestamp: Int64 = now, accepted: Int64 = now
) throws -> Decision {
    try decide(
        try data(json), policy: policy,
        moments: Moments(eventTime: eventTime, recordTimestamp: recordTimestamp, now: accepted), dedupWindow: week)
}

private func treatment(_ decision: Decision) throws -> Treatment {
    guard case .notify(let treatment) = decision else {
        throw DeadLetter(.invalidData, "not to be notified")
    }
    return treatment
}

private func user(_ id: String) -> Audience { .user(PersonID(id)!) }

@Suite struct RulesTests {
    @Test func followsThePolicyWhereTheEventSaysNothing() throws {
        let expected = Treatment(
            audiences: [user("bob")], priority: .normal, push: true, createdAt: now, expiresAt: now + 60_000, ttlSeconds: 60)
        #expect(try decision(#"{"audience":{"user":"bob"},"actor":"alice"}"#) == .notify(expected))
    }

    @Test func followsTheEventWhereItSaysMore() throws {
        let treatment = try treatment(decision(#"{"audience":{"user":"bob"},"priority":"low","ttlSeconds":5}"#))
        #expect(treatment.priority == .low && treatment.ttlSeconds == 5)
    }

    @Test func pushesOnlyWhereThePolicyDoes() throws {
        var quiet = policy
        quiet.channels = .inApp
        #expect(try !treatment(decision(#"{"audience":{"user":"bob"}}"#, policy: quiet)).push)
    }

    @Test func neverNotifiesTheActor() throws {
        #expect(try decision(#"{"audience":{"user":"bob"},"actor":{"id":"bob"}}"#) == .nobody)
        #expect(try decision(#"{"audience":{"users":["bob"]},"actor":"bob"}"#) == .nobody)
        #expect(
            try treatment(decision(#"{"audience":{"users":["eve","bob","al","eve"]},"actor":"bob"}"#)).audiences == [
                user("eve"), user("al"),
            ])
    }

    @Test func leavesAChannelWhole() throws {
        #expect(try treatment(decision(#"{"audience":{"channel":"c"},"actor":"bob"}"#)).audiences == [.channel(ChannelID("c")!)])
    }

    @Test(arguments: [("followersOf", #"{"audience":{"followersOf":"a"}}"#), ("broadcast", #"{"audience":{"broadcast":true}}"#)])
    func refusesWhatIsNotServed(_ member: String, _ json: String) {
        #expect(throws: DeadLetter(.invalidData, "data.audience.\(member) is not served yet")) { _ = try decision(json) }
    }

    @Test func anEventThatSaysNothingNeedsASilentPolicy() throws {
        let speaking = Policy(category: "social", priority: .normal, channels: .inApp, ttlSeconds: 60)
        for silent in [#"{"audience":{"user":"bob"}}"#, #"{"audience":{"user":"bob"},"title":null,"template":null,"body":"b"}"#] {
            #expect(throws: DeadLetter(.invalidData, "data.title and data.template are both missing, and the policy is not silent")) {
                _ = try decision(silent, policy: speaking)
            }
            _ = try treatment(decision(silent))
        }
        for said in [#""title":"Hi""#, #""template":"comment.new""#] {
            _ = try treatment(decision(#"{"audience":{"user":"bob"},\#(said)}"#, policy: speaking))
        }
    }

    @Test func refusesUnknownTypes() {
        #expect(throws: DeadLetter.self) { _ = try decision(#"{"audience":{"user":"bob"}}"#, policy: nil) }
    }

    /// What waited before it was read is late by our doing, and its life goes on meanwhile.
    @Test func itIsAcceptedWhenItsRecordReachesKafka() throws {
        #expect(Moments(eventTime: now - 9, recordTimestamp: now - 15_000, now: now).accepted == now - 15_000)
        #expect(Moments(eventTime: now - 9, recordTimestamp: -1, now: now).accepted == now)
        #expect(Moments(eventTime: nil, recordTimestamp: now + 5_000, now: now).accepted == now, "a clock that is ahead")
        let json = #"{"audience":{"user":"bob"}}"#
        let treatment = try treatment(decision(json, eventTime: nil, recordTimestamp: now - 15_000))
        #expect(treatment.ttlSeconds == 60 && treatment.expiresAt == now + 45_000)
    }

    @Test func lifeCountsFromTheEventsTime() throws {
        let json = #"{"audience":{"user":"bob"}}"#
        #expect(try decision(json, eventTime: now - 60_000) == .expired)
        let late = try treatment(decision(json, eventTime: now - 59_500))
        #expect(late.expiresAt == now + 500 && late.ttlSeconds == 1 && late.createdAt == now - 59_500)
        #expect(try decision(json, eventTime: nil, recordTimestamp: now - 60_000) == .expired)
        #expect(try treatment(decision(json, eventTime: nil, recordTimestamp: -1)).expiresAt == now + 60_000)
        // A producer whose clock is ahead.
        #expect(try treatment(decision(json, eventTime: now + 3_600_000)).expiresAt == now + 60_000)
    }

    @Test func refusesWhatIsOlderThanTheWindow() throws {
        let json = #"{"audience":{"user":"bob"}}"#
        #expect(try decision(json, eventTime: now - week) == .expired)
        for time in [now - week - 1, Int64.min] {
            #expect(throws: DeadLetter(.tooOld, "the event's time is older than DEDUP_WINDOW")) {
                _ = try decision(json, eventTime: time)
            }
        }
        #expect(throws: DeadLetter(.tooOld, "the record's timestamp is older than DEDUP_WINDOW")) {
            _ = try decision(json, eventTime: nil, recordTimestamp: now - week - 1)
        }
    }
}
