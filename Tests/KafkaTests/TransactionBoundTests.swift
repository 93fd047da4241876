import CRDKafka
import Testing

@testable import Kafka

@Suite struct TransactionBoundTests {
    private func outputs(_ count: Int, bytes: Int = 10) -> [OutgoingRecord] {
        (0..<count).map { OutgoingRecord(topic: "t", value: [UInt8](repeating: UInt8($0 % 250), count: bytes)) }
    }

    private func staged(_ outputs: [OutgoingRecord]) -> StagedTransaction {
        let (before, after) = (PartitionOffset(topic: "t", partition: 0, next: 5), PartitionOffset(topic: "t", partition: 0, next: 9))
        return StagedTransaction(number: 1, outputs: outputs, before: [before], after: [after], passes: after, then: nil)
    }

    @Test func aPortionEndsBeforeEitherLimitAndHoldsOneRecordAtLeast() {
        let bound = TransactionBound(records: 3, bytes: 100)
        #expect(bound.portion(of: outputs(9), from: 0) == 0..<3)
        #expect(bound.portion(of: outputs(9), from: 8) == 8..<9)
        #expect(bound.portion(of: outputs(9, bytes: 40), from: 2) == 2..<4)
        #expect(bound.portion(of: outputs(9, bytes: 500), from: 2) == 2..<3)
        #expect(bound.portion(of: [], from: 0) == 0..<0)
    }

    private let timeOut = KafkaError(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)

    @Test func whatTimesOutIsHalvedUntilItPassesAndGrowsAgain() {
        var bound = TransactionBound(records: 4_000, bytes: 4 << 20)
        // The broker takes 100 records in a transaction's time.
        var attempts = 0
        while bound.portion(of: outputs(1_000), from: 0).count > 100 {
            let portion = bound.portion(of: outputs(1_000), from: 0)
            bound.failed(timeOut, after: 0, records: portion.count, bytes: portion.count * 10)
            attempts += 1
        }
        #expect(attempts == 4)
        #expect(bound.records == 62)
        for _ in 0..<20 { bound.passed() }
        #expect(bound.records == 4_000 && bound.bytes == 4 << 20)
        for _ in 0..<20 { bound.failed(timeOut, after: 0, records: 1, bytes: 1) }
        #expect(bound.portion(of: outputs(5), from: 0) == 0..<1)
    }

    @Test func aSlowBrokerIsNotAskedForTooMuchEveryOtherTime() {
        var bound = TransactionBound(records: 4_000, bytes: 4 << 20)
        // The broker takes 300 records in a transaction's time.
        var failed = 0
        for _ in 0..<200 {
            if bound.records <= 300 {
                bound.passed()
            } else {
                bound.failed(timeOut, after: 15_000, records: bound.records, bytes: bound.bytes)
                failed += 1
            }
        }
        #expect(failed <= 4 + 7)
    }

    @Test func whatFailsSoonAndIsNoTimeOutSaysNothingOfTheSize() {
        let fenced = KafkaError(RD_KAFKA_RESP_ERR__FENCED)
        var bound = TransactionBound(records: 100, bytes: 1_000, time: 3_000)
        bound.failed(fenced, after: 1_900, records: 100, bytes: 1_000)
        #expect(bound.records == 100 && !bound.isSlow(1_900))
        // A broker that has given up a transaction for its age says that it is fenced.
        bound.failed(fenced, after: 2_000, records: 100, bytes: 1_000)
        #expect(bound.records == 50 && bound.bytes == 500 && bound.isSlow(2_000))
    }

    @Test func onlyTheLastPortionPassesOffsetsAndEveryOutputIsInOne() {
        var staged = staged(outputs(10))
        let bound = TransactionBound(records: 4, bytes: 1_000)
        var written: [OutgoingRecord] = []
        var offsets: [Int64] = []
        var isLast = false
        while !isLast {
            let next = staged.next(bound)
            written += next.outputs
            offsets += next.offsets.map(\.next)
            #expect((next.proof != nil) == (next.offsets.first?.next == 9))
            isLast = staged.passed()
        }
        #expect(written == outputs(10))
        #expect(offsets == [5, 5, 9])
    }

    @Test func aRefusedOutputIsReplacedInItsPortion() {
        var staged = staged(outputs(10))
        let bound = TransactionBound(records: 4, bytes: 1_000)
        _ = staged.next(bound)
        _ = staged.passed()
        _ = staged.next(bound)
        staged.replace(at: 1) { _ in nil }
        #expect(staged.outputs == outputs(10).enumerated().filter { $0.offset != 5 }.map(\.element))
        _ = staged.next(bound)
        staged.replace(at: 0) { OutgoingRecord(topic: "dlq", value: $0.value) }
        #expect(staged.outputs[4].topic == "dlq")
    }

    @Test func aTransactionWithoutOutputsIsOneForItsOffsets() {
        var staged = staged([])
        let next = staged.next(TransactionBound(records: 1, bytes: 1))
        #expect(next.offsets.map(\.next) == [9])
        let isLast = staged.passed()
        #expect(isLast)
    }
}
