import Foundation
import Kafka
import Models
import Testing

@testable import NotificationService

/// A lane whose records go nowhere until the test answers for Kafka.
private final class Lane {
    struct Written {
        let record: OutgoingRecord
        let answer: (Bool) -> Void
    }

    private(set) var written: [Written] = []
    private var answered = 0
    private(set) var lane: FastLane!

    init() throws {
        lane = FastLane(try makeTranslation(), clock: { now }) { [unowned self] in self.written.append(Written(record: $0, answer: $1)) }
    }

    func answerAll() {
        while answered < written.count {
            answered += 1
            written[answered - 1].answer(true)
        }
    }

    /// One batch: what goes with its transaction, how many outcomes were of high priority, and the places of those that it must take after
    /// all; nil while Kafka has not answered.
    func batch(_ records: [KafkaRecord]) -> (outputs: [OutgoingRecord], high: Int, failed: () -> [Int64]?) {
        lane.begin()
        var outputs: [OutgoingRecord] = []
        var high = 0
        for record in records {
            if case .notified(.high, _) = lane.translate(record, now: now, into: &outputs) { high += 1 }
        }
        var failed: [Int64]?
        lane.settle(records[...]) { failed = $0.map(\.offset) }
        return (outputs, high, { failed })
    }
}

private func payment(_ offset: Int64, people: Int = 1) -> KafkaRecord {
    let users = (0..<people).map { "\"p\($0)\"" }.joined(separator: ",")
    var made = record(event(#"{"audience":{"users":[\#(users)]}}"#, type: "transaction.payment"))
    made.offset = offset
    return made
}

private func mention(_ offset: Int64) -> KafkaRecord {
    var made = record(event(#"{"audience":{"user":"bob"}}"#))
    made.offset = offset
    return made
}

@Suite struct FastLaneTests {
    @Test func itHasTheRightOfWayWhileItIsUnderWayAndForAMoment() throws {
        let rig = try Lane()
        _ = rig.batch([mention(0)])
        #expect(!rig.lane.hasRightOfWay(now: now))
        _ = rig.batch([payment(1)])
        #expect(rig.lane.hasRightOfWay(now: now + 60_000))
        rig.answerAll()
        #expect(rig.lane.hasRightOfWay(now: now + FastLane.patience - 1))
        #expect(!rig.lane.hasRightOfWay(now: now + FastLane.patience))
    }

    @Test func highPriorityLeavesWhenItIsReadAndPassesOnceKafkaHasIt() throws {
        let rig = try Lane()
        // The first of a topic is found in its batch, and leaves then.
        let first = rig.batch([mention(1), payment(2), mention(3)])
        #expect(first.outputs.count == 2 && first.high == 1 && rig.written.count == 1)
        #expect(first.failed() == nil)
        rig.answerAll()
        #expect(first.failed() == [])
        // From then on the topic is looked at ahead.
        rig.lane.look([mention(4), payment(5), payment(6)])
        #expect(rig.written.count == 3 && rig.written.allSatisfy { $0.record.topic == "notifications.high" })
        rig.answerAll()
        let second = rig.batch([mention(4), payment(5), payment(6), payment(7)])
        #expect(second.outputs.count == 1 && second.high == 3 && rig.written.count == 4)
        #expect(second.failed() == nil)
        rig.answerAll()
        #expect(second.failed() == [])
    }

    @Test func whatKafkaDoesNotTakeGoesWithTheTransaction() throws {
        let rig = try Lane()
        let batch = rig.batch([payment(1), payment(2)])
        rig.written[1].answer(false)
        #expect(batch.failed() == nil)
        rig.written[0].answer(true)
        #expect(batch.failed() == [2])
    }

    /// Beyond what may be under way, and for what stands behind that in its partition, the transaction is the way.
    @Test func aFullLaneKeepsTheOrder() throws {
        let rig = try Lane()
        let full = (0..<5).map { payment(Int64($0), people: 1_000) } + [payment(5)]
        let batch = rig.batch(full)
        #expect(rig.written.count == FastLane.limit)
        #expect(batch.outputs.count == 1_001)
        rig.lane.look([payment(6)])
        #expect(rig.written.count == FastLane.limit)
        rig.answerAll()
        #expect(batch.failed() == [])
        let next = rig.batch([payment(6)])
        #expect(next.outputs.isEmpty && rig.written.count == FastLane.limit + 1)
    }

    /// What the group took back comes again, and is not waited for.
    @Test func aRebalanceForgetsWhatIsUnderWay() throws {
        let rig = try Lane()
        let batch = rig.batch([payment(1)])
        rig.lane.forget()
        rig.answerAll()
        #expect(batch.failed() == nil)
        let again = rig.batch([payment(1)])
        #expect(again.high == 1 && rig.written.count == 2)
        rig.answerAll()
        #expect(again.failed() == [])
    }
}
