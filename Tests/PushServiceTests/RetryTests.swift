import Models
import Testing

@testable import PushService

private let limits = RetryLimits()

/// `#expect` takes no call that mutates.
func expect(_ holds: Bool, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(holds, sourceLocation: sourceLocation)
}

@Suite struct DeviceAttemptTests {
    private func step(
        _ attempt: inout DeviceAttempt, _ meaning: AnswerMeaning, good: UInt64 = 0, random: Double = 1
    ) -> DeviceAttempt.Step {
        attempt.answered(meaning, goodAnswers: good, limits: limits, random: random)
    }

    @Test func pausesDoubleUpToTheLongest() {
        var attempt = DeviceAttempt()
        var pauses: [Duration] = []
        for _ in 0..<8 {
            attempt.sent(goodAnswers: 0)
            guard case .again(let pause) = step(&attempt, .providerFailed(.unavailable)) else { continue }
            pauses.append(pause)
        }
        #expect(pauses == [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].map { .milliseconds($0) })
        #expect(limits.pause(after: 1, random: 0) == .milliseconds(250))
    }

    @Test func anOutageNeverExhaustsARecord() {
        var attempt = DeviceAttempt()
        for kind in [FailureKind.unreachable, .interrupted, .unavailable] {
            for _ in 0..<1000 {
                attempt.sent(goodAnswers: 5)
                guard case .again = step(&attempt, .providerFailed(kind), good: 5) else {
                    Issue.record("given up in an outage")
                    return
                }
            }
        }
        #expect(attempt.attempts == 0 && attempt.tries == 3000)
    }

    @Test func aFailureThatOthersDoNotMeetCountsAndIsParked() {
        var attempt = DeviceAttempt()
        for number in 1..<limits.attempts {
            attempt.sent(goodAnswers: UInt64(number))
            guard case .park = step(&attempt, .providerFailed(.interrupted), good: UInt64(number) + 1) else {
                Issue.record("given up at \(number)")
                return
            }
        }
        attempt.sent(goodAnswers: 100)
        expect(step(&attempt, .providerFailed(.interrupted), good: 101) == .giveUp(.attemptsExhausted))
    }

    @Test func internalErrorsWithNobodyElseAboutAreParkedAndEndToo() {
        var (attempt, errors, parked) = (DeviceAttempt(), 0, 0)
        while true {
            attempt.sent(goodAnswers: 0)
            errors += 1
            let next = step(&attempt, .providerFailed(.internalError))
            if case .again = next { continue }
            guard case .park = next else { break }
            parked += 1
            attempt = DeviceAttempt(attempts: attempt.attempts)
        }
        #expect(errors == limits.attempts * DeviceAttempt.unclearErrors && parked == limits.attempts - 1)
    }

    @Test func tooManyRequestsForADeviceCountAndAreParked() {
        var attempt = DeviceAttempt()
        expect(step(&attempt, .slowDown(retryAfter: 3)) == .park(for: .seconds(3)))
        attempt = DeviceAttempt(attempts: attempt.attempts)
        // The pause goes on doubling where it was parked.
        expect(step(&attempt, .slowDown(retryAfter: nil)) == .park(for: .seconds(1)))
        expect(step(&attempt, .slowDown(retryAfter: 86_400)) == .park(for: limits.longest))
        for _ in 4..<limits.attempts { _ = step(&attempt, .slowDown(retryAfter: nil)) }
        expect(step(&attempt, .slowDown(retryAfter: nil)) == .giveUp(.attemptsExhausted))
    }

    @Test func theProviderTokenIsRenewedOnce() {
        var attempt = DeviceAttempt()
        expect(step(&attempt, .credentialsExpired) == .againWithNewToken)
        expect(step(&attempt, .credentialsExpired) == .stop)
        expect(step(&attempt, .credentialsRefused) == .stop)
        #expect(attempt.attempts == 0)
    }

    @Test func whatEndsAtOnce() {
        var attempt = DeviceAttempt()
        expect(step(&attempt, .accepted) == .accepted)
        expect(step(&attempt, .deviceGone(since: 5)) == .deviceGone(since: 5))
        expect(step(&attempt, .badToken) == .badToken)
        expect(step(&attempt, .wrongTopic) == .wrongTopic)
        expect(step(&attempt, .ownFault(.tooLarge)) == .giveUp(.tooLarge))
    }
}

@Suite struct ProviderGateTests {
    @Test func closesAfterThreeRoundsAndProbes() {
        var gate = ProviderGate(limits: limits)
        expect(gate.good() == .opened)
        expect(gate.good() == .none)
        // A hundred that were under way together are one round.
        for _ in 0..<100 { expect(gate.failed(.interrupted, sentAt: 10, now: 20, random: 1) == .none) }
        expect(gate.failed(.interrupted, sentAt: 20, now: 30, random: 1) == .none)
        expect(gate.admits(now: 30))
        expect(gate.failed(.interrupted, sentAt: 30, now: 40, random: 1) == .closed(.interrupted))
        let opensAt = gate.opensAt ?? 0
        #expect(opensAt == 40 + 2000)
        expect(!gate.admits(now: opensAt - 1))
        expect(gate.admits(now: opensAt))
        // One probe, not two.
        expect(!gate.admits(now: opensAt))
        expect(gate.failed(.unavailable, sentAt: opensAt, now: opensAt + 1, random: 1) == .none)
        #expect(gate.opensAt.map { $0 > opensAt && $0 <= opensAt + 5001 } == true)
        expect(gate.admits(now: opensAt + 10_000))
        expect(gate.good() == .opened)
        expect(gate.admits(now: opensAt + 10_000) && gate.admits(now: opensAt + 10_000))
    }

    @Test func aConnectionRefusedClosesAtOnce() {
        var gate = ProviderGate(limits: limits)
        expect(gate.failed(.unreachable, sentAt: 0, now: 1, random: 0) == .closed(.unreachable))
        expect(!gate.admits(now: 1))
    }

    @Test func aGoodAnswerForgetsFailures() {
        var gate = ProviderGate(limits: limits)
        for round in 0..<10 {
            _ = gate.failed(.interrupted, sentAt: UInt64(round * 10), now: UInt64(round * 10 + 5), random: 1)
            _ = gate.good()
        }
        #expect(gate.isOpen && gate.goodAnswers == 10)
    }

    @Test func refusedCredentialsStopAllForAMinute() {
        var gate = ProviderGate(limits: limits)
        expect(gate.refused(now: 0) == .refused)
        expect(gate.refused(now: 1) == .none)
        expect(!gate.admits(now: 60_000))
        expect(gate.admits(now: 60_001))
        expect(gate.good() == .opened)
    }

    @Test func anUndecidedProbeIsRepeated() {
        var gate = ProviderGate(limits: limits)
        _ = gate.failed(.unreachable, sentAt: 0, now: 1, random: 1)
        expect(gate.admits(now: 10_000))
        expect(gate.undecided() == .none)
        expect(gate.admits(now: 10_000))
    }
}

@Suite struct ProviderTokenTests {
    @Test func isSharedForFortyMinutes() {
        var age = ProviderTokenAge()
        #expect(age.isDue(now: 1000))
        age.issued(at: 1000)
        #expect(!age.isDue(now: 1000) && !age.isDue(now: 1000 + 2399))
        #expect(age.isDue(now: 1000 + 2400))
    }

    @Test func aClockThatWasSetBackMakesANewOne() {
        var age = ProviderTokenAge()
        age.issued(at: 10_000)
        #expect(!age.isDue(now: 9_990) && age.isDue(now: 5_000))
    }

    @Test func aRefusedOneIsReplacedUnlessItIsNew() {
        var age = ProviderTokenAge()
        age.issued(at: 1000)
        expect(!age.refused(now: 1030) && !age.isDue(now: 1030))
        expect(age.refused(now: 1100) && age.isDue(now: 1100))
        // The second request with the old one must not throw the new one away.
        age.issued(at: 1100)
        expect(!age.refused(now: 1100))
    }
}

@Suite struct QuarantineTests {
    @Test func aBadTokenRestsForAnHourAndThenGoes() {
        var quarantine = Quarantine()
        expect(quarantine.verdict(on: "t", registeredAt: 0, now: 10) == .send)
        expect(!quarantine.isBad("t", now: 10))
        expect(quarantine.verdict(on: "t", registeredAt: 0, now: 10 + 3_599_999) == .skip)
        expect(!quarantine.isBad("t", now: 20))
        expect(quarantine.verdict(on: "t", registeredAt: 0, now: 10 + 3_600_000) == .send)
        expect(quarantine.isBad("t", now: 10 + 3_600_000))
        #expect(quarantine.count == 0)
    }

    @Test func aNewRegistrationOrAGoodAnswerEndsIt() {
        var quarantine = Quarantine()
        _ = quarantine.isBad("t", now: 10)
        expect(quarantine.verdict(on: "t", registeredAt: 11, now: 12) == .send)
        _ = quarantine.isBad("t", now: 13)
        quarantine.isGood("t")
        #expect(quarantine.count == 0)
        _ = quarantine.isBad("t", now: 10)
        expect(quarantine.verdict(on: "t", registeredAt: 0, now: 11 + Quarantine.memory) == .send)
        #expect(quarantine.count == 0)
    }

    @Test func isBounded() {
        var quarantine = Quarantine(capacity: 10)
        for index in 0..<100 { _ = quarantine.isBad("\(index)", now: 0) }
        #expect(quarantine.count == 10)
        _ = quarantine.isBad("late", now: Quarantine.length)
        #expect(quarantine.count == 1)
    }
}
