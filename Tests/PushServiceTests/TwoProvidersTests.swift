import EventLoop
import Kafka
import Models
import TestSupport
import Testing

@testable import PushService

/// What one provider cannot take holds up neither the other devices of a record nor its lane. The second provider is a scripted one.
@Suite(.blocking, .timeLimit(.minutes(10))) struct TwoProvidersTests {
    private func with(
        _ more: [String: String] = [:], _ body: (ServiceBench, Script) async throws -> Void
    ) async throws {
        let script = Script()
        try await BenchedService.$script.withValue(script) {
            try await ServiceBench.with(more) { try await body($0, script) }
        }
    }

    private func ids(_ numbers: ClosedRange<Int>) -> Set<String> { Set(numbers.map { ServiceBench.notificationID($0) }) }

    private func accepted(_ script: Script, _ token: String) -> Set<String> { Set(script.accepted(token).map(\.description)) }

    @Test func eachDeviceIsServedByItsOwn() async throws {
        try await with { bench, script in
            try await bench.register("phone1", "bob")
            try await bench.registerScripted("pixel1", "bob")
            try await bench.produce((1...5).map { ServiceBench.record("bob", $0) })
            try await until("Apple's arrive") { try await bench.receivedOnce("phone1").count == 5 }
            await until("the others arrive") { accepted(script, "pixel1") == ids(1...5) }
            #expect(try bench.deadLetters().isEmpty)
        }
    }

    @Test func anOutageOfTheOtherHoldsUpNeitherDeviceNorLane() async throws {
        try await with(["PUSH_ATTEMPTS": "2"]) { bench, script in
            try await bench.register("phone1", "bob")
            try await bench.registerScripted("pixel1", "bob")
            try await bench.register("phone2", "alice")
            script.setAway(true)
            try await bench.produce((1...20).map { ServiceBench.record("bob", $0) } + [ServiceBench.record("alice", 21)])
            try await until("bob's other device has all") { try await bench.receivedOnce("phone1").count == 20 }
            try await until("so has alice") { try await bench.receivedOnce("phone2").count == 1 }
            // A later batch of the lane, in the same outage.
            try await bench.produce([ServiceBench.record("alice", 22), ServiceBench.record("bob", 23)])
            try await until("the lane goes on") { try await bench.receivedOnce("phone2").count == 2 }
            try await until("for bob too") { try await bench.receivedOnce("phone1").count == 21 }
            #expect(accepted(script, "pixel1").isEmpty)
            try await until("it waits in its own topic") {
                Set(try bench.records(of: ServiceBench.scriptedParkingTopic).map(\.key)) == [Array("bob".utf8)]
            }
            #expect(try bench.records(of: ServiceBench.parkingTopic).isEmpty)
            script.setAway(false)
            await until("nothing is lost") { accepted(script, "pixel1") == ids(1...20).union(ids(23...23)) }
            // An outage blames no record, however often it was asked for.
            #expect(try bench.deadLetters().isEmpty)
            #expect(bench.log.contains { $0.contains("dependency is down") && $0.contains("dependency=fcm") })
            #expect(!bench.log.contains { $0.contains("dependency is down") && $0.contains("dependency=apns") })
        }
    }

    @Test func anOutageOfAPNsHoldsUpNobodyOfTheOther() async throws {
        try await with { bench, script in
            try await bench.register("phone1", "bob")
            try await bench.registerScripted("pixel1", "bob")
            try await bench.registerScripted("pixel2", "alice")
            let former = try #require(bench.standIn)
            former.stop()
            try await bench.produce((1...20).map { ServiceBench.record("bob", $0) } + [ServiceBench.record("alice", 21)])
            await until("the others have all") { accepted(script, "pixel1") == ids(1...20) && accepted(script, "pixel2") == ids(21...21) }
            bench.standIn = try APNsStandIn(after: former)
            try await until("nothing is lost") {
                Set(try await bench.received("phone1").filter { $0.status == 200 }.compactMap(\.collapseId)) == ids(1...20)
            }
            #expect(try bench.deadLetters().isEmpty)
        }
    }

    @Test func whatTheOtherAnswers429WaitsAlone() async throws {
        try await with(["PUSH_RETRY_LONGEST": "600s"]) { bench, script in
            try await bench.register("phone1", "bob")
            try await bench.registerScripted("pixel1", "bob")
            try await bench.registerScripted("pixel2", "alice")
            script.answer("pixel1", [ProviderAnswer(.slowDown(retryAfter: 600), reason: "other")])
            script.answer("pixel2", [ProviderAnswer(.slowDown(retryAfter: nil), reason: "other")])
            try await bench.produce([ServiceBench.record("bob", 1), ServiceBench.record("alice", 2)])
            try await until("bob's other device has it") { try await bench.receivedOnce("phone1").count == 1 }
            // Hers is due after an instant, and is not held up by the ten minutes of his.
            await until("alice has it") { accepted(script, "pixel2") == ids(2...2) }
            try await bench.produce([ServiceBench.record("bob", 3)])
            try await until("the lane goes on") { try await bench.receivedOnce("phone1").count == 2 }
            #expect(accepted(script, "pixel1").isEmpty)
            #expect(try bench.deadLetters().isEmpty)
        }
    }

    @Test func refusedCredentialsOfOneStopNobodyOfTheOther() async throws {
        try await with(["APNS_KEY_ID": "ANOTHER"]) { bench, script in
            try await bench.register("phone1", "bob")
            try await bench.registerScripted("pixel1", "bob")
            try await bench.produce((1...5).map { ServiceBench.record("bob", $0) })
            await until("the others arrive") { accepted(script, "pixel1") == ids(1...5) }
            await until("it is said") { bench.log.contains { $0.contains("refuses the credentials") && $0.contains("provider=apns") } }
            #expect(try bench.deadLetters().isEmpty)
        }
    }

    /// What one device cannot be sent at all is a dead letter once, and no other device misses it.
    @Test func aFaultOfOneIsADeadLetterAndTheOtherHasIt() async throws {
        try await with { bench, script in
            try await bench.register("phone1", "bob")
            try await bench.registerScripted("pixel1", "bob")
            script.answer("pixel1", [ProviderAnswer(.ownFault(.tooLarge), reason: "other")])
            try await bench.produce([ServiceBench.record("bob", 1)])
            try await until("a dead letter") { try bench.deadLetters().count == 1 }
            let letter = try #require(try bench.deadLetters().first)
            #expect(letter.header("dlq-reason").map { String(decoding: $0, as: UTF8.self) } == "too_large")
            #expect(letter.header("dlq-detail").map { String(decoding: $0, as: UTF8.self) } == "FCM answered other")
            try await until("the other has it") { try await bench.receivedOnce("phone1").count == 1 }
        }
    }
}
