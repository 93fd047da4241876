import EventLoop
import Kafka
import Settings
import TestSupport
import Testing

/// A service that answers each record with one output.
final class Echo {
    let pipeline: RecordPipeline
    var seen: [String] = []
    var states: [BrokerState] = []
    var notes: [String] = []
    var alarms: [String] = []
    var batches: [RecordBatch] = []
    /// Batches wait in `batches` instead of being answered.
    var holdsBatches = false
    private let output: String

    init(
        _ loop: EventLoop, _ settings: KafkaSettings, topics: [String], output: String, excluding: [String] = [],
        limits: PipelineLimits = PipelineLimits(stopPatience: .seconds(60))
    ) throws {
        self.output = settings.topic(output)
        pipeline = try RecordPipeline(
            loop: loop, settings: settings, service: "echo", topics: topics, excluding: excluding, limits: limits)
        pipeline.onBatch = { [unowned self] batch in
            self.batches.append(batch)
            if !self.holdsBatches { self.answer() }
        }
        pipeline.onState = { [unowned self] in self.states.append($0) }
        pipeline.onNote = { [unowned self] in self.notes.append($0) }
        pipeline.onAlarm = { [unowned self] in self.alarms.append($0) }
        try pipeline.start()
    }

    func answer() {
        guard !batches.isEmpty else { return }
        let batch = batches.removeFirst()
        guard batch.isCurrent else { return }
        seen += batch.records.map { text($0.value) }
        batch.finish(
            batch.records.map { OutgoingRecord(topic: output, key: $0.key, value: $0.value, headers: $0.headers) })
    }
}

@Suite(.blocking) struct RecordPipelineTests {
    @Test func whatComesInGoesOutWithKeysAndHeaders() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(
            settings,
            (0..<100).map {
                OutgoingRecord(
                    topic: "in", key: bytes("k\($0 % 7)"), value: bytes("v\($0)"),
                    headers: [KafkaHeader("a", "1"), KafkaHeader("empty", "")])
            })
        let bench = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await bench.until { $0.seen.count == 100 })
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        let out = try read(settings, "out")
        #expect(Set(out.map { text($0.value) }) == Set((0..<100).map { "v\($0)" }))
        #expect(out.count == 100)
        #expect(out.allSatisfy { $0.headers == [KafkaHeader("a", "1"), KafkaHeader("empty", "")] })
        #expect(out.allSatisfy { $0.key != nil && $0.timestamp > 0 })
        #expect(await bench.ask { $0.states } == [.up])
        bench.end()
    }

    @Test func aPatternFindsATopicMadeLaterFromItsFirstRecordAndSkipsTheExcluded() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker, namespace: "a.b")
        try await produce(
            settings, ["a.b.events.dlq", "other.events.x", "aXb.events.x"].map { OutgoingRecord(topic: $0, value: bytes("no")) })
        let bench = try await Bench {
            try Echo($0, settings, topics: [#"^events\..*"#], output: "out", excluding: [#"\.dlq$"#])
        }
        try await produce(settings, (0..<20).map { OutgoingRecord(topic: "a.b.events.late", value: bytes("v\($0)")) })
        #expect(await bench.until(60) { $0.seen.count >= 20 })
        #expect(await bench.ask { $0.seen.sorted() } == (0..<20).map { "v\($0)" }.sorted())
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        bench.end()
    }

    @Test func anOutageLosesNothingAndIsToldOnceEachWay() async throws {
        let broker = try MockBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, (0..<50).map { OutgoingRecord(topic: "in", value: bytes("v\($0)")) })
        let bench = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await bench.until { $0.seen.count == 50 })
        await bench.ask { $0.holdsBatches = true }
        try await produce(settings, (50..<100).map { OutgoingRecord(topic: "in", value: bytes("v\($0)")) })
        #expect(await bench.until { !$0.batches.isEmpty })
        try await broker.setDown()
        #expect(await bench.until { $0.states.count == 2 })
        await bench.ask {
            $0.holdsBatches = false
            $0.answer()
        }
        broker.setUp()
        #expect(await bench.until(60) { $0.seen.count >= 100 })
        #expect(await bench.until { $0.states.count == 3 })
        #expect(try await holds(settings, "out", 100))
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        let states = await bench.ask { $0.states }
        #expect(states.first == .up && states.last == .up && states.count == 3)
        let out = Set(try read(settings, "out").map { text($0.value) })
        #expect(out == Set((0..<100).map { "v\($0)" }))
        bench.end()
    }

    @Test func aServiceThatHoldsItsBatchHoldsBackReadingAndKeepsItsPlace() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, (0..<1_000).map { OutgoingRecord(topic: "in", value: bytes("v\($0)")) })
        let bench = try await Bench {
            let echo = try Echo($0, settings, topics: ["in"], output: "out", limits: PipelineLimits(records: 100))
            echo.holdsBatches = true
            return echo
        }
        #expect(await bench.until { !$0.batches.isEmpty && $0.pipeline.heldRecords > 0 })
        // Several ticks, in each of which the group must be answered.
        try await Task.sleep(for: .milliseconds(2_300))
        #expect(await bench.ask { $0.batches[0].records.count } <= 100)
        #expect(await bench.ask { $0.pipeline.heldRecords } == 1)
        await bench.ask {
            $0.holdsBatches = false
            $0.answer()
        }
        #expect(await bench.until { $0.seen.count >= 1_000 })
        #expect(await bench.ask { Set($0.seen).count } == 1_000)
        #expect(await bench.ask { $0.seen.count } == 1_000)
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        bench.end()
    }

    @Test func whatWasCommittedIsNotReadAgainAndAnotherMemberGoesOn() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, (0..<200).map { OutgoingRecord(topic: "in", value: bytes("v\($0)")) })
        let first = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await first.until { $0.seen.count == 200 })
        let second = try await Bench { try Echo($0, .mock(broker, instance: "two"), topics: ["in"], output: "out") }
        try await produce(settings, (200..<400).map { OutgoingRecord(topic: "in", value: bytes("v\($0)")) })
        #expect(await second.until(60) { !$0.notes.isEmpty })
        await first.wait { echo, done in echo.pipeline.stop { done() } }
        #expect(await second.until { _ in true })
        try await produce(settings, (400..<500).map { OutgoingRecord(topic: "in", value: bytes("v\($0)")) })
        let before = await first.ask { $0.seen }
        #expect(await second.until(60) { Set($0.seen + before).count == 500 })
        await second.wait { echo, done in echo.pipeline.stop { done() } }
        first.end()
        second.end()
    }

    @Test func nullsStayNullsAndEmptyStaysEmpty() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        var tombstone = OutgoingRecord(topic: "in", key: [1], value: [], headers: [KafkaHeader("null", nil as [UInt8]?)])
        tombstone.isTombstone = true
        let empty = OutgoingRecord(topic: "in", key: [1], value: [], headers: [KafkaHeader("empty", "")])
        try await produce(settings, [tombstone, empty])
        let records = try read(settings, "in")
        #expect(records.map(\.isTombstone) == [true, false] && records.allSatisfy { $0.value.isEmpty })
        #expect(records.map(\.headers) == [[KafkaHeader("null", nil as [UInt8]?)], [KafkaHeader("empty", "")]])
    }

    @Test func anOutputThatKafkaNeverTakesIsReplaced() async throws {
        let broker = try EmbeddedBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, [OutgoingRecord(topic: "in", value: bytes("small"))])
        let bench = try await Bench {
            let echo = try Echo($0, settings, topics: ["in"], output: "out")
            echo.holdsBatches = true
            echo.pipeline.onRefused = { record, error in
                OutgoingRecord(topic: record.topic, value: bytes(error.name))
            }
            return echo
        }
        #expect(await bench.until { !$0.batches.isEmpty })
        await bench.ask { echo in
            echo.batches.removeFirst().finish([
                OutgoingRecord(topic: "out", value: bytes("one")),
                OutgoingRecord(topic: "out", value: [UInt8](repeating: 65, count: 1_100_000)),
                OutgoingRecord(topic: "out", value: bytes("two")),
            ])
        }
        #expect(try await holds(settings, "out", 3))
        #expect(try read(settings, "out").contains { text($0.value) == "MSG_SIZE_TOO_LARGE" })
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        bench.end()
    }

    @Test func plainCommitsLeaveNoOutputAndHoldTheirPlace() async throws {
        let broker = try EmbeddedBroker()
        var settings = KafkaSettings.mock(broker)
        settings.isMock = false
        try await produce(settings, (0..<50).map { OutgoingRecord(topic: "in", value: bytes("v\($0)")) })
        for round in 0..<2 {
            let bench = try await Bench { [settings] in
                let echo = try Echo($0, settings, topics: ["in"], output: "out")
                echo.pipeline.onBatch = { batch in
                    echo.seen += batch.records.map { text($0.value) }
                    batch.finish(commit: .plain)
                }
                return echo
            }
            if round == 1 { try await produce(settings, [OutgoingRecord(topic: "in", value: bytes("last"))]) }
            #expect(await bench.until(60) { $0.seen.count >= (round == 0 ? 50 : 1) })
            await bench.wait { echo, done in echo.pipeline.stop { done() } }
            if round == 1 { #expect(await bench.ask { $0.seen } == ["last"]) }
            bench.end()
        }
    }

    @Test func stopEndsWithinSecondsWhileTheBrokerIsAway() async throws {
        let broker = try MockBroker()
        let settings = KafkaSettings.mock(broker)
        try await produce(settings, [OutgoingRecord(topic: "in", value: bytes("one"))])
        let bench = try await Bench {
            let echo = try Echo($0, settings, topics: ["in"], output: "out", limits: PipelineLimits())
            echo.holdsBatches = true
            return echo
        }
        #expect(await bench.until { !$0.batches.isEmpty })
        try await broker.setDown()
        await bench.ask { $0.answer() }
        let watch = Standstill()
        await bench.wait { echo, done in echo.pipeline.stop { done() } }
        #expect(watch.end() < 15)
        bench.end()
    }

    @Test func aPropertyThatIsNotKnownIsNamedAndItsValueIsNot() async throws {
        var settings = KafkaSettings(brokers: "127.0.0.1:9", instanceID: "one")
        settings.properties = try KafkaServerSettings(Environment(["KAFKA_PROPERTIES": "sasl.pasword=secret"])).properties
        var error: KafkaError?
        do {
            _ = try await Bench { [settings] in try Echo($0, settings, topics: ["in"], output: "out") }
        } catch let thrown as KafkaError { error = thrown }
        #expect(error?.reason.contains("sasl.pasword") == true)
        #expect(error?.description.contains("secret") == false)
    }
}
