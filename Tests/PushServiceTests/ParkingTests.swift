import EventLoop
import Foundation
import HTTPClient
import Kafka
import TestSupport
import Testing

@testable import PushService

/// Who must wait for a reason of one device, and what is not done twice.
@Suite(.blocking, .timeLimit(.minutes(10))) struct ParkingTests {
    private static let patient = ["PUSH_RETRY_LONGEST": "600s"]

    @Test func aDeviceThatIsToWaitHoldsUpNobody() async throws {
        try await ServiceBench.with(Self.patient) { bench in
            try await bench.register("slow1", "bob")
            try await bench.register("quick1", "carol")
            for number in 1...19 { try await bench.register("phone\(number)", "p\(number)") }
            try await bench.fault(#"{"kind":"status","status":429,"retryAfter":600,"count":1,"prefix":"slow"}"#)
            try await bench.fault(#"{"kind":"status","status":429,"count":1,"prefix":"quick"}"#)
            try await bench.produce([ServiceBench.record("bob", 1)])
            try await until("it is told to wait") { try await bench.received("slow1").count == 1 }
            // Ten minutes of bob's wait hold up neither the lane nor who is parked for an instant.
            try await bench.produce((1...19).map { ServiceBench.record("p\($0)", 100 + $0) } + [ServiceBench.record("carol", 2)])
            for number in 1...19 {
                try await until("the others' arrive") { try await bench.received("phone\(number)").count == 1 }
            }
            try await until("the parked one arrives") { try await bench.received("quick1").contains { $0.status == 200 } }
            #expect(try await bench.received("quick1").first?.status == 429)
            // Its next notification is parked without a question.
            try await bench.produce([ServiceBench.record("bob", 3), ServiceBench.record("p1", 4)])
            try await until("the next arrives") { try await bench.received("phone1").count == 2 }
            #expect(try await bench.received("slow1").count == 1)
            let parked = try bench.records(of: ServiceBench.parkingTopic).filter { $0.key == Array("bob".utf8) }
            let attempts = try Set(parked.map { try ParkedPush.read($0.value) }.map { [$0.devices.joined(), "\($0.attempt)"] })
            #expect(attempts == [["slow1", "1"], ["slow1", "0"]])
            #expect(try bench.deadLetters().isEmpty)
        }
    }

    @Test func whatIsParkedIsGivenUpAfterAllItsAttempts() async throws {
        try await ServiceBench.with(["PUSH_ATTEMPTS": "3"]) { bench in
            try await bench.register("slow1", "bob")
            try await bench.fault(#"{"kind":"status","status":429,"count":100,"prefix":"slow"}"#)
            try await bench.produce([ServiceBench.record("bob", 1)])
            try await until("a dead letter") { try bench.deadLetters().count == 1 }
            let letter = try #require(try bench.deadLetters().first)
            #expect(letter.header("dlq-reason").map { String(decoding: $0, as: UTF8.self) } == "attempts_exhausted")
            #expect(try await bench.received("slow1").count == 3)
        }
    }

    /// More are parked than are held at once.
    @Test func parkedPushesBeyondTheLimitWaitInKafka() async throws {
        try await ServiceBench.with(["PUSH_PARKED_RECORDS": "1"]) { bench in
            for number in 1...5 { try await bench.register("slow\(number)", "p\(number)") }
            for number in 1...5 {
                try await bench.fault(#"{"kind":"status","status":429,"count":1,"prefix":"slow\#(number)"}"#)
            }
            let rounds = bench.rounds
            try await bench.produce((1...5).map { ServiceBench.record("p\($0)", $0) })
            for number in 1...5 {
                let token = "slow\(number)"
                try await until("it arrives") { try await bench.received(token).contains { $0.status == 200 } }
                // A rebalance between a push and its answer lets it be sent again, under the same apns-id. Nothing else does.
                if bench.rounds == rounds {
                    #expect(try await bench.received(token).map(\.status) == [429, 200])
                } else {
                    #expect(try await bench.receivedOnce(token).count == 1)
                }
            }
        }
    }

    /// Nineteen people's pushes stand behind one that is told to wait. They are there before it is sent again, three seconds later.
    @Test func othersDoNotWaitForADeviceThatIsToWait() async throws {
        try await ServiceBench.with(Self.patient) { bench in
            try await bench.register("slow1", "bob")
            for number in 1...19 { try await bench.register("phone\(number)", "p\(number)") }
            try await bench.fault(#"{"kind":"status","status":429,"retryAfter":3,"count":1,"prefix":"slow"}"#)
            try await bench.produce([ServiceBench.record("bob", 1)] + (1...19).map { ServiceBench.record("p\($0)", 100 + $0) })
            try await until("the parked one arrives") { try await bench.received("slow1").count == 2 }
            let all = try await bench.received()
            let refused = try #require(all.first { $0.token == "slow1" && $0.status == 429 })
            let accepted = try #require(all.firstIndex { $0.token == "slow1" && $0.status == 200 })
            let others = all[..<accepted].filter { $0.token.hasPrefix("phone") && $0.status == 200 }
            #expect(Set(others.map(\.token)).count == 19)
            let last = others.map(\.at).max() ?? 0
            print("behind a device that was answered 429, the last of 19 other people's pushes came after \(last - refused.at) ms")
        }
    }

    @Test func aReplayRingsNoPhoneAgain() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("phone1", "bob")
            try await bench.produce([ServiceBench.record("bob", 1)])
            try await until("it arrives") { try await bench.received("phone1").count == 1 }
            // A device that did not have it gets it.
            try await bench.register("tablet1", "bob")
            try await bench.produce([ServiceBench.record("bob", 1), ServiceBench.record("bob", 2)])
            for (token, numbers) in [("phone1", [1, 2]), ("tablet1", [1, 2])] {
                try await until("the next arrives") { try await bench.received(token).count >= 2 }
                #expect(try await bench.received(token).map(\.collapseId) == numbers.map { ServiceBench.notificationID($0) })
            }
        }
    }

    @Test func aDeviceOfAnotherTopicIsADeadLetterOnce() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("othertopic1", "bob")
            try await bench.register("phone1", "bob")
            try await bench.produce((1...5).map { ServiceBench.record("bob", $0) })
            try await until("all arrive") { try await bench.received("phone1").count == 5 }
            #expect(try await bench.received("othertopic1").count == 1)
            #expect(try bench.deadLetters().count == 1)
            // Once it is registered again, it is asked for again.
            try await bench.register("othertopic1", "bob")
            try await bench.produce([ServiceBench.record("bob", 6)])
            try await until("it is tried") { try await bench.received("othertopic1").count == 2 }
        }
    }
}

/// Which device is whose, and where it is.
@Suite(.blocking, .timeLimit(.minutes(10))) struct DeviceIdentityTests {
    @Test func aTokenInAnotherCaseIsTheSameDevice() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("ABCDEF01", "bob")
            try await bench.register("abcdef01", "bob")
            #expect(try await bench.devices("bob") == ["abcdef01"])
            #expect(try await bench.request("GET", "/v1/devices/AbcdeF01", as: "bob").status == 200)
            try await bench.produce([ServiceBench.record("bob", 1)])
            try await until("it arrives") { try await bench.received("abcdef01").count == 1 }
            // It moves with its owner: nothing of bob's reaches her.
            try await bench.register("ABcdef01", "alice")
            #expect(try await bench.devices("bob").isEmpty)
            try await bench.produce([ServiceBench.record("bob", 2), ServiceBench.record("alice", 3)])
            try await until("hers arrives") { try await bench.received("abcdef01").count >= 2 }
            #expect(try await bench.received("abcdef01").map(\.collapseId) == [1, 3].map { ServiceBench.notificationID($0) })
            #expect(try await bench.request("DELETE", "/v1/devices/ABCDEF01", as: "alice").status == 204)
            #expect(try await bench.devices("alice").isEmpty)
        }
    }

    @Test func aDeviceOfTheSandboxIsReachedThere() async throws {
        try await ServiceBench.with(wired: "APNS_SANDBOX_URL") { bench in
            let wire = try #require(bench.wire)
            try await bench.register("phone1", "bob", environment: "production")
            try await bench.produce([ServiceBench.record("bob", 1)])
            try await until("it arrives") { try await bench.received("phone1").count == 1 }
            #expect(wire.accepted == 0)
            try await bench.register("phone2", "alice", environment: "sandbox")
            try await bench.produce([ServiceBench.record("alice", 2)])
            try await until("it arrives") { try await bench.received("phone2").count == 1 }
            #expect(wire.accepted == 1)
        }
    }

    @Test func whatIsNotServedIsRefused() async throws {
        try await ServiceBench.with { bench in
            let body = #"{"token":"a1","platform":"apns","app":"app.other"}"#
            let refused = try await bench.request("PUT", "/v1/devices", body: body, as: "bob")
            let text = String(decoding: refused.body, as: UTF8.self)
            #expect(refused.status == 400 && text.contains("#device_not_served") && text.contains("app must be app.carillon.demo"))
            #expect(try await bench.devices("bob").isEmpty)
        }
    }

    /// The next push comes within APNS_TIMEOUT and a second. In that second is the pause before a push is sent again, at most 500 ms by
    /// default and here 20.
    @Test(arguments: Wire.Silence.allCases) func aConnectionThatDiesWithoutAWordIsLeft(_ how: Wire.Silence) async throws {
        try await ServiceBench.with(wired: "APNS_URL", ["APNS_TIMEOUT": "2s"]) { bench in
            let wire = try #require(bench.wire)
            try await bench.register("phone1", "bob")
            try await bench.produce([ServiceBench.record("bob", 1)])
            try await until("it arrives") { try await bench.received("phone1").count == 1 }
            wire.silence(how)
            let before = wire.accepted
            let standstill = Standstill()
            let began = EventLoop.wallClock()
            try await bench.produce([ServiceBench.record("bob", 2)])
            try await until("the next arrives") { try await bench.received("phone1").count == 2 }
            let took = try #require(try await bench.received("phone1").last).at - began
            print("a connection that \(how): the next push came after \(took) ms with APNS_TIMEOUT=2s")
            #expect(took >= 2_000 && Double(took) / 1_000 - standstill.stood <= 3)
            #expect(wire.accepted == before + 1)
            _ = standstill.end()
        }
    }
}
