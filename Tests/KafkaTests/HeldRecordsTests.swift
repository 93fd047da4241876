import TestSupport
import Testing

@testable import Kafka

@Suite struct HeldRecordsTests {
    private func record(_ topic: String, _ offset: Int64, bytes: Int = 1) -> KafkaRecord {
        KafkaRecord(topic: topic, offset: offset, value: [UInt8](repeating: 0, count: bytes))
    }

    /// Takes from backlogs of so many records a topic.
    private func take(_ held: inout HeldRecords, _ left: inout [Int64], of topics: [String], _ limit: Int) -> [KafkaRecord] {
        held.nextBatch(limit, bytes: .max) { line in
            guard left[line] > 0 else { return nil }
            left[line] -= 1
            return record(topics[line], 1_000 - left[line])
        }
    }

    @Test func aBacklogOfOneTopicStandsBeforeNoOther() {
        let topics = ["campaign", "payment", "social"]
        for _ in topics {
            var held = HeldRecords(topics: topics)
            var left: [Int64] = [1_000, 90, 1]
            let batch = take(&held, &left, of: topics, 1_000)
            #expect(batch.count == 1_000)
            // A run of each, then twice that: whoever has few is near the front.
            #expect(batch.prefix(2 * HeldRecords.runRecords + 1).contains { $0.topic == "social" })
            #expect(batch.prefix(5 * HeldRecords.runRecords).filter { $0.topic == "payment" }.count == 90)
        }
    }

    /// Offers to a thousand people are a hundred times a message: fifty messages a second must not wait for as many of them.
    @Test func aRunIsBoundedByBytesToo() {
        var held = HeldRecords(topics: ["offers", "messages"])
        for offset in 0..<250 { held.append(record("offers", Int64(offset), bytes: 13_000), line: 0) }
        for offset in 0..<50 { held.append(record("messages", Int64(offset), bytes: 300), line: 1) }
        let batch = held.nextBatch(4_000, bytes: .max) { _ in nil }
        #expect(batch.firstIndex { $0.topic == "messages" } == 2)
        #expect(batch.prefix(52).filter { $0.topic == "messages" }.count == 50)
    }

    @Test func aTopicIsLookedAtAheadInOrderAndOnce() {
        var held = HeldRecords(topics: ["a"])
        var next: Int64 = 0
        func look() -> [Int64] {
            held.lookAhead(0) { _ in
                next += 1
                return record("a", next)
            }.map(\.offset)
        }
        #expect(look() == (1...64).map { Int64($0) })
        #expect(look() == [])
        let batch = held.nextBatch(10, bytes: .max) { _ in nil }
        #expect(batch.map(\.offset) == (1...10).map { Int64($0) })
        #expect(look() == (65...74).map { Int64($0) })
        // What is put back comes before all else, so it is looked at once more.
        held.putBack(batch[4...])
        #expect(look() == (5...68).map { Int64($0) })
        #expect(held.nextBatch(1_000, bytes: .max) { _ in nil }.map(\.offset) == (5...74).map { Int64($0) })
    }

    @Test func largeRecordsAreLookedAtOneByOne() {
        var held = HeldRecords(topics: ["a"])
        for offset in 0..<10 { held.append(record("a", Int64(offset), bytes: 40 << 10), line: 0) }
        #expect(held.lookAhead(0) { _ in nil }.count == 2)
    }

    @Test func whoIsFirstChangesFromBatchToBatch() {
        let topics = ["a", "b"]
        var held = HeldRecords(topics: topics)
        var left: [Int64] = [10, 10]
        let firsts = (0..<4).flatMap { _ in take(&held, &left, of: topics, 1).map(\.topic) }
        #expect(firsts == ["a", "b", "a", "b"])
    }

    @Test func whatIsPutBackComesBeforeAllElseOfItsTopicAndNotOfOthers() {
        let topics = ["a", "b"]
        var held = HeldRecords(topics: topics)
        var left: [Int64] = [4, 0]
        let first = take(&held, &left, of: topics, 3)
        held.append(record("b", 7), line: 1)
        held.putBack(first[1...])
        #expect(held.count == 3)
        let second = take(&held, &left, of: topics, 100)
        #expect(second.first?.topic == "b")
        #expect(second.filter { $0.topic == "a" }.map(\.offset) == [first[1].offset, first[2].offset, first[2].offset + 1])
        #expect(held.count == 0)
    }

    @Test func bytesEndABatchToo() {
        var held = HeldRecords(topics: ["a"])
        for offset in 0..<10 { held.append(record("a", Int64(offset), bytes: 100), line: 0) }
        let batch = held.nextBatch(100, bytes: 250) { _ in nil }
        #expect(batch.count == 3)
        #expect(held.count == 7)
    }

    /// Whatever is taken, put back and arrives: each topic's records come once and in order.
    @Test func anyOrderOfBatchesKeepsEachTopicsOrder() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let topics = (0...Int(random.next() % 4)).map { "t\($0)" }
            var held = HeldRecords(topics: topics)
            var written = topics.map { _ in Int64(0) }
            var passed = topics.map { _ in Int64(0) }
            for _ in 0..<30 {
                var batch = held.nextBatch(Int(random.next() % 20) + 1, bytes: .max) { line in
                    guard random.next() % 8 != 0 else { return nil }
                    written[line] += 1
                    return record(topics[line], written[line])
                }
                let keep = batch.isEmpty ? 0 : Int(random.next() % UInt64(batch.count + 1))
                held.putBack(batch[keep...])
                batch.removeSubrange(keep...)
                for taken in batch {
                    guard let line = topics.firstIndex(of: taken.topic), taken.offset == passed[line] + 1 else {
                        Issue.record("TEST_SEED=\(seed): \(taken.topic) \(taken.offset)")
                        return
                    }
                    passed[line] += 1
                }
            }
        }
    }
}
