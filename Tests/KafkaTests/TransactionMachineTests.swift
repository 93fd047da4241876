import TestSupport
import Testing

@testable import Kafka

@Suite struct TransactionMachineTests {
    /// A machine that owns its partitions, at time 1000.
    private func owner(commitsTwice: Bool = false) -> TransactionMachine {
        var machine = TransactionMachine(interval: 20, commitsTwice: commitsTwice)
        #expect(machine.apply(.assigned, now: 1_000) == [])
        return machine
    }

    /// One whose batch 1 is being committed.
    private func committing() -> TransactionMachine {
        var machine = owner()
        #expect(machine.apply(.held(3), now: 1_000) == [.dispatch(1)])
        #expect(machine.apply(.finished(batch: 1, .transaction), now: 1_001) == [.transact(1)])
        return machine
    }

    @Test func aLoneRecordLeavesAtOnce() {
        var machine = owner()
        #expect(machine.apply(.held(1), now: 1_000) == [.dispatch(1)])
    }

    @Test func recordsSoonAfterABatchBeganWaitForTheIntervalsEnd() {
        var machine = committing()
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_005) == [.forget(1)])
        #expect(machine.apply(.held(2), now: 1_010) == [.wake(1_020)])
        #expect(machine.apply(.held(3), now: 1_012) == [])
        #expect(machine.apply(.tick, now: 1_019) == [])
        #expect(machine.apply(.tick, now: 1_020) == [.dispatch(2)])
    }

    @Test func recordsLongAfterABatchBeganLeaveAtOnce() {
        var machine = committing()
        _ = machine.apply(.transacted(batch: 1, .committed), now: 1_005)
        #expect(machine.apply(.held(1), now: 1_020) == [.dispatch(2)])
    }

    @Test func afterABatchWithoutATransactionTheIntervalIsAQuarter() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        _ = machine.apply(.finished(batch: 1, .plain), now: 1_001)
        #expect(machine.apply(.held(1), now: 1_002) == [.wake(1_005)])
        #expect(machine.apply(.tick, now: 1_005) == [.dispatch(2)])
    }

    @Test func oneBatchAtATime() {
        var machine = owner()
        #expect(machine.apply(.held(1), now: 1_000) == [.dispatch(1)])
        #expect(machine.apply(.held(5), now: 1_500) == [])
        #expect(machine.apply(.finished(batch: 1, .transaction), now: 1_600) == [.transact(1)])
        #expect(machine.apply(.held(6), now: 1_700) == [])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_800) == [.forget(1), .dispatch(2)])
    }

    @Test func aFailedTransactionIsTriedAgainLaterAndLater() {
        var machine = committing()
        var now: UInt64 = 2_000
        var delays: [UInt64] = []
        for _ in 0..<8 {
            guard case .wake(let at) = machine.apply(.transacted(batch: 1, .failed), now: now).first else {
                Issue.record("no wake")
                return
            }
            delays.append(at - now)
            #expect(machine.apply(.tick, now: at - 1) == [])
            #expect(machine.apply(.tick, now: at) == [.transact(1)])
            now = at + 10
        }
        #expect(delays == [100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: now) == [.forget(1)])
    }

    @Test func aPlainCommitDoesNotWait() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        #expect(machine.apply(.finished(batch: 1, .plain), now: 1_000) == [.commitPlainly(1), .forget(1)])
        #expect(machine.apply(.held(1), now: 1_020) == [.dispatch(2)])
    }

    @Test func noTransactionBeginsBeforePlainCommitsAreAnswered() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        _ = machine.apply(.finished(batch: 1, .plain), now: 1_000)
        _ = machine.apply(.held(1), now: 1_020)
        #expect(machine.apply(.finished(batch: 2, .transaction), now: 1_021) == [])
        #expect(machine.phase == .settling(.last(2)))
        #expect(machine.apply(.plainCommitAnswered, now: 1_022) == [.transact(2)])
    }

    @Test func theMockGetsItsOffsetsTwice() {
        var machine = owner(commitsTwice: true)
        _ = machine.apply(.held(1), now: 1_000)
        _ = machine.apply(.finished(batch: 1, .transaction), now: 1_000)
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_001) == [.commitPlainly(1), .forget(1)])
        #expect(machine.plainCommits == 1)
    }

    @Test func afterAStepTheServiceGoesOnWithTheBatch() {
        var machine = owner()
        _ = machine.apply(.held(3), now: 1_000)
        #expect(machine.apply(.stepped(batch: 1), now: 1_001) == [.transact(1)])
        #expect(machine.isOpen(1))
        #expect(machine.apply(.stepped(batch: 1), now: 1_002) == [])
        #expect(machine.apply(.finished(batch: 1, .transaction), now: 1_002) == [])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_003) == [.proceed(1)])
        #expect(machine.phase == .processing(1))
        #expect(machine.apply(.finished(batch: 1, .transaction), now: 1_004) == [.transact(1)])
        #expect(!machine.isOpen(1))
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_005) == [.forget(1)])
    }

    @Test func aStepThatFailedIsTriedAgainBeforeTheServiceGoesOn() {
        var machine = owner()
        _ = machine.apply(.held(3), now: 1_000)
        _ = machine.apply(.stepped(batch: 1), now: 1_001)
        #expect(machine.apply(.transacted(batch: 1, .failed), now: 1_002) == [.wake(1_102)])
        #expect(machine.isOpen(1))
        #expect(machine.apply(.tick, now: 1_102) == [.transact(1)])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_103) == [.proceed(1)])
    }

    @Test func afterAPortionTheNextFollowsAtOnce() {
        var machine = committing()
        #expect(machine.apply(.transacted(batch: 1, .partly), now: 1_002) == [.transact(1)])
        #expect(machine.apply(.transacted(batch: 1, .partly), now: 1_003) == [.transact(1)])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_004) == [.forget(1)])
    }

    @Test func aRevocationEndsTheBatchBehindAPortion() {
        var machine = committing()
        #expect(machine.apply(.revoked, now: 1_002) == [.abandon])
        #expect(machine.apply(.transacted(batch: 1, .partly), now: 1_003) == [.forget(1), .dropHeld, .unassign])
    }

    @Test(arguments: [TransactionMachine.Outcome.committed, .failed, .abandoned])
    func aBatchThatIsRevokedDuringAStepIsNotGoneOnWith(outcome: TransactionMachine.Outcome) {
        var machine = owner()
        _ = machine.apply(.held(3), now: 1_000)
        _ = machine.apply(.stepped(batch: 1), now: 1_001)
        #expect(machine.apply(.revoked, now: 1_002) == [.abandon])
        #expect(machine.apply(.transacted(batch: 1, outcome), now: 1_003) == [.forget(1), .dropHeld, .unassign])
        #expect(!machine.isOpen(1))
    }

    @Test func aStopWaitsForABatchInSteps() {
        var machine = owner()
        _ = machine.apply(.held(3), now: 1_000)
        _ = machine.apply(.stepped(batch: 1), now: 1_001)
        #expect(machine.apply(.stop, now: 1_002) == [])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_003) == [.proceed(1)])
        #expect(machine.apply(.finished(batch: 1, .transaction), now: 1_004) == [.transact(1)])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_005) == [.forget(1), .dropHeld, .leave])
    }

    @Test func aRevocationDropsWhatTheServiceHolds() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        #expect(machine.apply(.revoked, now: 1_001) == [.forget(1), .dropHeld, .unassign])
        #expect(machine.apply(.finished(batch: 1, .transaction), now: 1_002) == [])
        #expect(machine.apply(.held(9), now: 1_003) == [])
        #expect(machine.apply(.assigned, now: 1_004) == [])
        #expect(machine.apply(.held(1), now: 1_020) == [.dispatch(2)])
        #expect(machine.apply(.finished(batch: 1, .transaction), now: 1_021) == [])
        #expect(machine.phase == .processing(2))
    }

    @Test(arguments: [TransactionMachine.Outcome.committed, .failed, .abandoned])
    func aRevocationWaitsForTheTransaction(outcome: TransactionMachine.Outcome) {
        var machine = committing()
        #expect(machine.apply(.revoked, now: 1_002) == [.abandon])
        let actions = machine.apply(.transacted(batch: 1, outcome), now: 1_003)
        #expect(actions == [.forget(1), .dropHeld, .unassign])
        #expect(machine.phase == .idle)
        #expect(!machine.isAssigned)
    }

    @Test func aRevocationEndsTheRetries() {
        var machine = committing()
        _ = machine.apply(.transacted(batch: 1, .failed), now: 1_002)
        #expect(machine.apply(.revoked, now: 1_003) == [.forget(1), .dropHeld, .unassign])
        #expect(machine.apply(.tick, now: 9_000) == [])
    }

    @Test func aRevocationDropsABatchThatSettles() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        _ = machine.apply(.finished(batch: 1, .plain), now: 1_000)
        _ = machine.apply(.held(1), now: 1_020)
        _ = machine.apply(.finished(batch: 2, .transaction), now: 1_021)
        #expect(machine.apply(.revoked, now: 1_022) == [.forget(2), .wake(2_022)])
        #expect(machine.apply(.plainCommitAnswered, now: 1_023) == [.dropHeld, .unassign])
    }

    @Test func aRevocationWaitsForPlainCommitsButNotForEver() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        _ = machine.apply(.finished(batch: 1, .plain), now: 1_000)
        #expect(machine.apply(.revoked, now: 1_001) == [.wake(2_001)])
        #expect(machine.apply(.held(5), now: 1_500) == [])
        #expect(machine.apply(.tick, now: 2_001) == [.dropHeld, .unassign])
    }

    @Test func whatIsNotReadIsBegunAnewAndStaysThisMembers() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        #expect(machine.apply(.unread, now: 1_001) == [.forget(1), .dropHeld, .reassign])
        #expect(machine.isAssigned)
        #expect(machine.apply(.finished(batch: 1, .transaction), now: 1_002) == [])
        #expect(machine.apply(.held(2), now: 1_020) == [.dispatch(2)])
    }

    @Test func toBeginAnewWaitsForTheTransactionInPeace() {
        var machine = committing()
        #expect(machine.apply(.unread, now: 1_002) == [])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_003) == [.forget(1), .dropHeld, .reassign])
    }

    @Test func aRevocationTakesThePlaceOfBeginningAnew() {
        var machine = committing()
        #expect(machine.apply(.unread, now: 1_002) == [])
        #expect(machine.apply(.revoked, now: 1_003) == [.abandon])
        #expect(machine.apply(.transacted(batch: 1, .abandoned), now: 1_004) == [.forget(1), .dropHeld, .unassign])
        #expect(machine.apply(.unread, now: 1_005) == [])
        #expect(!machine.isAssigned)
    }

    @Test func aPauseHoldsBatchesBackAndNothingElse() {
        var machine = committing()
        #expect(machine.apply(.paused, now: 1_002) == [])
        #expect(machine.apply(.held(4), now: 1_003) == [])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_004) == [.forget(1)])
        #expect(machine.apply(.tick, now: 5_000) == [])
        #expect(machine.apply(.resumed, now: 5_001) == [.dispatch(2)])
    }

    @Test func stopLetsTheBatchEndAndLeaves() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        #expect(machine.apply(.stop, now: 1_001) == [])
        #expect(machine.apply(.held(7), now: 1_002) == [])
        #expect(machine.apply(.finished(batch: 1, .transaction), now: 1_003) == [.transact(1)])
        #expect(machine.apply(.transacted(batch: 1, .committed), now: 1_004) == [.forget(1), .dropHeld, .leave])
        #expect(machine.hasLeft)
        #expect(machine.apply(.held(7), now: 1_005) == [])
    }

    @Test func stopWaitsForPlainCommits() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        _ = machine.apply(.finished(batch: 1, .plain), now: 1_000)
        #expect(machine.apply(.stop, now: 1_001) == [])
        #expect(machine.apply(.plainCommitAnswered, now: 1_002) == [.dropHeld, .leave])
    }

    @Test func stopDoesNotTryAgain() {
        var machine = committing()
        #expect(machine.apply(.stop, now: 1_002) == [])
        #expect(machine.apply(.transacted(batch: 1, .failed), now: 1_003) == [.forget(1), .dropHeld, .leave])
    }

    @Test func stopNowLeavesWithoutTheServicesBatch() {
        var machine = owner()
        _ = machine.apply(.held(1), now: 1_000)
        _ = machine.apply(.stop, now: 1_001)
        #expect(machine.apply(.stopNow, now: 6_001) == [.forget(1), .dropHeld, .leave])
    }

    @Test func stopNowAbandonsTheTransactionAndWaitsForItsEnd() {
        var machine = committing()
        _ = machine.apply(.stop, now: 1_002)
        #expect(machine.apply(.stopNow, now: 6_002) == [.abandon])
        #expect(machine.apply(.transacted(batch: 1, .abandoned), now: 6_003) == [.forget(1), .dropHeld, .leave])
    }

    @Test func stopBeforeAnAssignmentLeavesAtOnce() {
        var machine = TransactionMachine(interval: 20)
        #expect(machine.apply(.stop, now: 1) == [.dropHeld, .leave])
    }

    /// Any order of events: one batch at a time, each ended once, no transaction over a plain commit without an answer, nothing
    /// handed out without partitions, and every wish answered in the end.
    @Test func anyOrderOfEventsKeepsTheRules() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            var world = World(machine: TransactionMachine(interval: 20, commitsTwice: random.next() % 2 == 0))
            for _ in 0..<200 { world.step(&random) }
            world.settle()
            if let broken = world.broken {
                Issue.record("TEST_SEED=\(seed): \(broken)")
                return
            }
        }
    }
}
