import Kafka
import Models
import Testing

@testable import NotificationService

@Suite struct TransactionDraftTests {
    /// Adds events of one priority, each of so many records of so many bytes, until the draft is complete or `count` are in.
    private func add(_ count: Int, _ priority: Priority, records: Int, bytes: Int, to draft: inout TransactionDraft) -> Bool {
        for _ in 0..<count {
            let goesOn = draft.add { outputs in
                for _ in 0..<records {
                    outputs.append(OutgoingRecord(topic: priority.rawValue, value: [UInt8](repeating: 0, count: bytes)))
                }
                return .notified(priority, records: records)
            }
            if !goesOn { return false }
        }
        return true
    }

    @Test func aTransactionTakesTheEventsThatFitAndNoPartOfOne() {
        var draft = TransactionDraft(TransactionBound(records: 4_000, bytes: 4 << 20), capacity: 600)
        let goesOn1 = add(600, .low, records: 1_000, bytes: 1_000, to: &draft)
        #expect(!goesOn1)
        #expect(draft.outcomes.count == 4)
        #expect(draft.outputs.count == 4_000)
    }

    /// Beside high priority, with the usual limits.
    @Test func itIsSmallerWhereFewerRecordsAreAllowed() {
        let limits = EventLimits()
        let bound = TransactionBound(records: limits.transactionRecords, bytes: limits.transactionBytes)
        var draft = TransactionDraft(bound.atMost(records: limits.transactionRecordsBesideHigh), capacity: 600)
        let goesOn = add(600, .low, records: 100, bytes: 1_000, to: &draft)
        #expect(!goesOn)
        #expect(draft.outputs.count == 1_000)
        // A slow broker has made it smaller still, or it is set so.
        #expect(TransactionBound(records: 10, bytes: 1).atMost(records: 1_000).records == 10)
    }

    @Test func bytesBoundItToo() {
        var draft = TransactionDraft(TransactionBound(records: 4_000, bytes: 100_000), capacity: 10)
        let goesOn2 = add(10, .low, records: 10, bytes: 3_000, to: &draft)
        #expect(!goesOn2)
        #expect(draft.outcomes.count == 3)
    }

    @Test func anEventThatIsMoreThanATransactionStandsAlone() {
        var draft = TransactionDraft(TransactionBound(records: 100, bytes: 1 << 20), capacity: 10)
        let goesOn3 = add(2, .low, records: 1_000, bytes: 10, to: &draft)
        #expect(!goesOn3)
        #expect(draft.outcomes.count == 1)
        #expect(draft.outputs.count == 1_000)
    }

    @Test func amongSmallEventsHighPriorityCutsNothing() {
        var draft = TransactionDraft(TransactionBound(records: 4_000, bytes: 4 << 20), capacity: 4_000)
        for _ in 0..<400 {
            let goesOn7 = add(1, .high, records: 1, bytes: 400, to: &draft)
            #expect(goesOn7)
            let goesOn8 = add(9, .normal, records: 1, bytes: 400, to: &draft)
            #expect(goesOn8)
        }
        #expect(draft.outcomes.count == 4_000)
    }
}
