import Testing

@testable import Kafka

@Suite struct PipelineHealthTests {
    @Test func aPipelineIsUpOnlyOnceTheGroupHasGivenItItsPart() {
        var health = PipelineHealth()
        #expect(health.isJoining)
        let answers = [health.broker(.up), health.joined(), health.joined()]
        #expect(answers == [nil, .up, nil])
        #expect(!health.isJoining)
    }

    @Test func anOutageIsToldBeforeTheFirstAssignmentToo() {
        var health = PipelineHealth()
        let answers = [health.broker(.down("away")), health.broker(.up), health.joined()]
        #expect(answers == [.down("away"), nil, .up])
    }

    @Test func aBatchThatDoesNotPassFor30SecondsIsToldOnceWithItsReason() {
        var health = PipelineHealth()
        _ = health.broker(.up)
        _ = health.joined()
        let early = health.writing(since: 1_000, now: 30_999, reason: "X")
        let late = health.writing(since: 1_000, now: 31_000, reason: "INVALID_PRODUCER_ID_MAPPING")
        let again = health.writing(since: 1_000, now: 40_000, reason: "X")
        let passed = health.writing(since: nil, now: 41_000, reason: nil)
        #expect([early, again] == [nil, nil])
        #expect(late == .down("a batch has not passed for 30 s: INVALID_PRODUCER_ID_MAPPING"))
        #expect(passed == .up)
    }

    @Test func topicsAreMatchedAsLibrdkafkaDoes() {
        let patterns = TopicPatterns(topics: [#"^events\..*"#, "plain"], excluding: [#"\.dlq$"#])
        #expect(patterns.match("events.social") && patterns.match("plain"))
        #expect(!patterns.match("events.dlq") && !patterns.match("xevents.a") && !patterns.match("plainer"))
    }
}

@Suite struct PartitionProgressTests {
    private let place = PartitionProgress.Partition(topic: "t", number: 0)

    private func at(_ next: Int64) -> PartitionOffset { PartitionOffset(topic: "t", partition: 0, next: next) }

    private func assigned() -> PartitionProgress {
        var progress = PartitionProgress()
        progress.assign([at(0)])
        return progress
    }

    @Test func theLagIsWhatLiesBetweenTheGroupAndTheEnd() {
        var progress = assigned()
        #expect(progress.lag(place, waiting: nil) == nil)
        _ = progress.high(place, 100)
        #expect(progress.lag(place, waiting: 40) == 60)
        _ = progress.pass([at(90)])
        #expect(progress.lag(place, waiting: nil) == 10)
    }

    @Test func theMarksOfTransactionsBehindTheLastRecordAreNoLag() {
        var progress = assigned()
        _ = progress.pass([at(90)])
        progress.reached(at(92))
        _ = progress.high(place, 92)
        #expect(progress.lag(place, waiting: nil) == 0)
        #expect(progress.lag(place, waiting: 89) == 3)
    }

    @Test func aTopicThatWasMadeAnewIsNoticedOnceAndAFailOverIsNot() {
        var progress = assigned()
        _ = progress.pass([at(90)])
        // A new leader learns late where it ends.
        let failOver = [progress.high(place, 85), progress.high(place, 90)]
        #expect(failOver == [nil, nil])
        let remade = [progress.high(place, 3), progress.high(place, 3), progress.high(place, 4)]
        #expect(remade == [nil, "t", nil])
        _ = progress.pass([at(90)])
        let back = progress.pass([at(5)])
        #expect(back == ["t"])
        #expect(progress.restarts == 2)
    }
}
