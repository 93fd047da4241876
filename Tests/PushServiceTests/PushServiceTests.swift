import Foundation
import HTTPClient
import Kafka
import TestSupport
import Testing

@Suite(.blocking, .timeLimit(.minutes(10))) struct PushServiceTests {
    private func text(_ record: KafkaRecord, _ header: String) -> String {
        String(decoding: record.header(header) ?? [], as: UTF8.self)
    }

    @Test func aPushReachesEveryDeviceOfThePersonInOrder() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("phone1", "bob")
            try await bench.register("tablet1", "bob")
            try await bench.register("phone2", "alice")
            try await bench.produce((1...20).map { ServiceBench.record("bob", $0) })
            try await bench.produce([ServiceBench.record("alice", 21, lane: "high"), ServiceBench.record("alice", 22, lane: "low")])
            try await bench.produce([ServiceBench.record("nobody", 23)])
            for token in ["phone1", "tablet1"] {
                try await until("all arrive") { try await bench.receivedOnce(token).count >= 20 }
                let received = try await bench.receivedOnce(token)
                #expect(received.map(\.collapseId) == (1...20).map { ServiceBench.notificationID($0) })
                #expect(received.allSatisfy { $0.status == 200 && $0.pushType == "alert" && $0.priority == 10 })
                #expect(Set(received.map(\.apnsId)).count == 20)
            }
            try await until("both lanes") { try await bench.receivedOnce("phone2").count == 2 }
            #expect(Set(try await bench.receivedOnce("phone2").map(\.priority)) == [10, 5])
            #expect(try bench.deadLetters().isEmpty)
            #expect(bench.log.filter { $0.contains("dependency=apns") }.count == 1)
        }
    }

    @Test func devicesOverREST() async throws {
        try await ServiceBench.with(apns: false, ["DEVICES_PER_PERSON": "3"]) { bench in
            try await until("Redis is up") { try await bench.request("GET", "/v1/devices", as: "bob").status == 200 }
            try await bench.register("t1", "bob")
            try await bench.register("t2", "bob")
            #expect(try await bench.devices("bob") == ["t1", "t2"])
            // A token that moves to another person leaves the first.
            try await bench.register("t1", "alice")
            #expect(try await bench.devices("bob") == ["t2"])
            #expect(try await bench.devices("alice") == ["t1"])
            #expect(try await bench.request("GET", "/v1/devices/t1", as: "alice").status == 200)
            #expect(try await bench.request("GET", "/v1/devices/t1", as: "bob").status == 404)
            #expect(try await bench.request("DELETE", "/v1/devices/t1", as: "bob").status == 204)
            #expect(try await bench.devices("alice") == ["t1"])
            #expect(try await bench.request("DELETE", "/v1/devices/t1", as: "alice").status == 204)
            #expect(try await bench.devices("alice").isEmpty)
            for token in ["t3", "t4", "t5"] { try await bench.register(token, "bob") }
            #expect(try await bench.devices("bob") == ["t3", "t4", "t5"])

            let expired = try await bench.request("GET", "/v1/devices", token: ServiceBench.token(for: "bob", expires: 1))
            #expect(expired.status == 401 && String(decoding: expired.body, as: UTF8.self).contains("#token_expired"))
            let nobody = try await bench.request("GET", "/v1/devices")
            #expect(nobody.status == 401 && String(decoding: nobody.body, as: UTF8.self).contains("#token_invalid"))
            #expect(try await bench.request("PUT", "/v1/devices", body: "{}", as: "bob").status == 400)
            #expect(try await bench.request("POST", "/v1/devices", as: "bob").status == 405)
            #expect(try await bench.request("GET", "/v1/other", as: "bob").status == 404)
            bench.redis.suspend()
            let away = try await bench.request("GET", "/v1/devices", as: "bob")
            #expect(away.status == 503 && away.header("retry-after") != nil)
            bench.redis.resume()
            try await until("Redis is back") { try await bench.request("GET", "/v1/devices", as: "bob").status == 200 }
        }
    }

    @Test func withoutCredentialsEachRecordIsADeadLetter() async throws {
        try await ServiceBench.with(apns: false) { bench in
            var bad = ServiceBench.record("bob", 2)
            bad.value = Array("nonsense".utf8)
            try await bench.produce([ServiceBench.record("bob", 1), bad])
            try await until("two dead letters") { try bench.deadLetters().count == 2 }
            let letters = try bench.deadLetters()
            let letter = try #require(letters.first { text($0, "dlq-reason") == "no_credentials" })
            #expect(letter.key == Array("bob".utf8) && text(letter, "dlq-topic") == "push.normal" && text(letter, "traceparent") == "00-a")
            #expect(letters.contains { text($0, "dlq-reason") == "not_json" && $0.value == bad.value })
        }
    }

    @Test func aDeviceThatIsGoneIsRemovedUnlessItRegisteredSince() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("dead1", "bob")
            try await bench.register("deadold1", "bob")
            try await bench.register("live1", "bob")
            try await bench.produce([ServiceBench.record("bob", 1)])
            try await until("it goes") { try await bench.devices("bob") == ["deadold1", "live1"] }
            try await until("the live one gets it") { try await bench.received("live1").count == 1 }
            #expect(try bench.deadLetters().isEmpty)
        }
    }

    @Test func whatIsRefusedIsADeadLetterAndTheRestGoesOn() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("othertopic1", "bob")
            try await bench.register("bad1", "carol")
            try await bench.register("live1", "alice")
            try await bench.produce([ServiceBench.record("bob", 1), ServiceBench.record("carol", 2), ServiceBench.record("alice", 3)])
            try await until("a dead letter") { try bench.deadLetters().count == 1 }
            let letter = try #require(try bench.deadLetters().first)
            #expect(text(letter, "dlq-reason") == "rejected_by_provider")
            #expect(text(letter, "dlq-detail") == "APNs answered DeviceTokenNotForTopic")
            try await until("the other arrives") { try await bench.received("live1").count == 1 }
            // Both keep their devices: one is for another topic, the other is in quarantine.
            #expect(try await bench.devices("bob") == ["othertopic1"])
            #expect(try await bench.devices("carol") == ["bad1"])
            try await bench.produce([ServiceBench.record("carol", 4), ServiceBench.record("alice", 5)])
            try await until("the next arrives") { try await bench.received("live1").count == 2 }
            #expect(try await bench.received("bad1").count == 1)
        }
    }

    @Test func aRetryCarriesTheSameID() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("phone1", "bob")
            try await bench.fault(#"{"kind":"status","status":503,"count":3}"#)
            try await bench.fault(#"{"kind":"lost","count":1}"#)
            try await bench.fault(#"{"kind":"status","status":429,"count":1}"#)
            try await bench.produce([ServiceBench.record("bob", 1)])
            // Three times 503, one lost answer, one 429, and then it is accepted.
            try await until("it arrives") { try await bench.received("phone1").count >= 6 }
            let received = try await bench.received("phone1")
            #expect(received.last?.status == 200 && Set(received.map(\.apnsId)).count == 1)
            #expect(try bench.deadLetters().isEmpty)
        }
    }

    @Test func aFaultOfItsOwnEndsInADeadLetter() async throws {
        try await ServiceBench.with(["PUSH_ATTEMPTS": "3"]) { bench in
            try await bench.register("sick1", "bob")
            try await bench.register("well1", "alice")
            try await bench.fault(#"{"kind":"status","status":429,"prefix":"sick","count":1000}"#)
            try await bench.produce([ServiceBench.record("bob", 1), ServiceBench.record("alice", 2)])
            try await until("a dead letter") { try bench.deadLetters().count == 1 }
            let letter = try #require(try bench.deadLetters().first)
            #expect(text(letter, "dlq-reason") == "attempts_exhausted" && text(letter, "dlq-attempts") == "3")
            #expect(try await bench.received("well1").count == 1)
        }
    }

    @Test func anOutageOfTheProviderPausesAndLosesNothing() async throws {
        try await ServiceBench.with(["PUSH_ATTEMPTS": "2"]) { bench in
            try await bench.register("phone1", "bob")
            try await bench.produce([ServiceBench.record("bob", 0)])
            try await until("up") { try await bench.received("phone1").count == 1 }
            let former = try #require(bench.standIn)
            former.stop()
            try await bench.produce((1...50).map { ServiceBench.record("bob", $0) })
            await until("it is noticed") { bench.log.contains { $0.contains("is down") && $0.contains("apns") } }
            bench.standIn = try APNsStandIn(after: former)
            try await until("all arrive") { try await bench.received("phone1").count >= 50 }
            #expect(try await bench.received("phone1").map(\.collapseId) == (1...50).map { ServiceBench.notificationID($0) })
            #expect(try bench.deadLetters().isEmpty)
            #expect(bench.log.filter { $0.contains("dependency is down") && $0.contains("apns") }.count == 1)
        }
    }

    @Test func anOutageOfRedisPauses() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("phone1", "bob")
            bench.redis.suspend()
            try await bench.produce([ServiceBench.record("bob", 1)])
            await until("it is noticed") { bench.log.contains { $0.contains("is down") && $0.contains("redis") } }
            bench.redis.resume()
            try await until("it arrives") { try await bench.received("phone1").count == 1 }
            #expect(try bench.deadLetters().isEmpty)
        }
    }

    @Test func refusedCredentialsStopSendingAndDeleteNothing() async throws {
        try await ServiceBench.with(["APNS_KEY_ID": "ANOTHER"]) { bench in
            try await bench.register("phone1", "bob")
            try await bench.produce([ServiceBench.record("bob", 1), ServiceBench.record("bob", 2)])
            await until("it is said") { bench.log.contains { $0.contains("refuses the credentials") } }
            #expect(try await bench.devices("bob") == ["phone1"])
            #expect(try await bench.received("phone1").count == 1)
            #expect(try bench.deadLetters().isEmpty)
        }
    }

    @Test func whatWasPushedIsNotPushedAgainAfterARestart() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("phone1", "bob")
            try await bench.produce((1...5).map { ServiceBench.record("bob", $0) } + [ServiceBench.record("bob", 6, expiresIn: -1)])
            try await until("they arrive") { try await bench.received("phone1").count == 5 }
            await bench.stop()
            try await bench.start()
            try await bench.produce([ServiceBench.record("bob", 7)])
            try await until("the next arrives") { try await bench.received("phone1").count >= 6 }
            #expect(try await bench.received("phone1").map(\.collapseId) == [1, 2, 3, 4, 5, 7].map { ServiceBench.notificationID($0) })
        }
    }

    /// Both forms of an empty answer: END_STREAM with the headers, and in a DATA frame of its own.
    @Test func anEmptyAnswerMayEndLate() async throws {
        try await ServiceBench.with { bench in
            try await bench.register("phone1", "bob")
            try await bench.fault(#"{"kind":"late","count":300}"#)
            try await bench.produce((1...50).map { ServiceBench.record("bob", $0) })
            try await until("all arrive") { try await bench.received("phone1").count >= 50 }
            #expect(try await bench.received("phone1").map(\.status) == [Int](repeating: 200, count: 50))
            #expect(!bench.log.contains { $0.contains("is down") })
        }
    }
}
