import Kafka
import Models
import Testing

@testable import PushService

@Suite struct ParkedPushTests {
    private let push =
        #"{"v":1,"person":"bob","offset":3,"epoch":1,"reason":"offline","accepted":5,"later":[1],"notification":{"id":"0e2a6b5c-1d2e-8f30-9a4b-5c6d7e8f9a0b","type":"t","title":"é"}}"#

    private func record(_ value: [UInt8]) -> KafkaRecord {
        KafkaRecord(
            topic: "push.high", offset: 7, key: Array("bob".utf8), value: value, headers: [KafkaHeader("traceparent", "00-a")])
    }

    @Test func itIsAPushWithWhatRemains() throws {
        let parked = ParkedPush(devices: ["a", "b\""], attempt: 2, notBefore: 1_700_000_000_000)
        let written = try parked.record(for: record(Array(push.utf8)), topic: "push.retry.apns")
        #expect(written.topic == "push.retry.apns" && written.key == Array("bob".utf8))
        #expect(written.headers == [KafkaHeader("traceparent", "00-a")])
        #expect(try ParkedPush.read(written.value) == parked)
        let read = try PushRecord.read(written.value)
        #expect(read.person.text == "bob" && read.position == StreamPosition(epoch: 1, offset: 3) && read.accepted == 5)
        // Parked again, nothing stands in it twice.
        let again = try ParkedPush(devices: ["a"], attempt: 3, notBefore: 9).record(for: record(written.value), topic: "t")
        #expect(try ParkedPush.read(again.value) == ParkedPush(devices: ["a"], attempt: 3, notBefore: 9))
        #expect(again.value.count < written.value.count)
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"devices":[],"attempt":0,"notBefore":1}"#, #"{"devices":["a"],"attempt":-1,"notBefore":1}"#,
        #"{"devices":["a"],"attempt":0}"#, #"{"devices":"a","attempt":0,"notBefore":1}"#, #"{"devices":[1],"attempt":0,"notBefore":1}"#,
    ])
    func whatCannotBeRead(_ value: String) {
        let letter = #expect(throws: DeadLetter.self) { _ = try ParkedPush.read(Array(value.utf8)) }
        #expect(letter?.reason == .invalidData)
    }

    @Test func itWaitsForItsTimeAndNotForAClock() {
        let parked = ParkedPush(devices: ["a"], attempt: 0, notBefore: 10_000)
        #expect(parked.wait(now: 9_000) == 1_000 && parked.wait(now: 10_000) == 0 && parked.wait(now: 20_000) == 0)
        // What lies further ahead than anything is parked was written by a clock that was set back.
        #expect(parked.wait(now: 10_000 - ParkedPush.longest) == ParkedPush.longest)
        #expect(parked.wait(now: 9_999 - ParkedPush.longest) == 0 && parked.wait(now: .min) == 0)
    }
}

@Suite struct SetAsideTests {
    @Test func aDeviceRestsUntilItsTime() {
        var aside = SetAside()
        aside.rest("t", until: 100)
        expect(aside.verdict(on: "t", registeredAt: 0, now: 99) == .park(until: 100))
        expect(aside.verdict(on: "other", registeredAt: 0, now: 99) == .send)
        expect(aside.verdict(on: "t", registeredAt: 0, now: 100) == .send)
        #expect(aside.count == 0)
    }

    @Test func aWrongTopicLastsUntilTheDeviceRegistersAnew() {
        var aside = SetAside()
        aside.hasWrongTopic("t", now: 100)
        expect(aside.verdict(on: "t", registeredAt: 100, now: .max) == .skip)
        expect(aside.verdict(on: "t", registeredAt: 101, now: 102) == .send)
        #expect(aside.count == 0)
    }

    @Test func isBounded() {
        var aside = SetAside(capacity: 10)
        for index in 0..<100 { aside.rest("\(index)", until: Int64(index)) }
        #expect(aside.count == 10)
        // The oldest went.
        expect(aside.verdict(on: "99", registeredAt: 0, now: 0) == .park(until: 99))
        expect(aside.verdict(on: "89", registeredAt: 0, now: 0) == .send)
    }
}
