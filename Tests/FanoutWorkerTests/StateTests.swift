import Foundation
import Kafka
import Models
import Redis
import Store
import TestSupport
import Testing

@testable import FanoutWorker

private func person(_ name: String) -> PersonID { PersonID(name)! }

private func delivery(_ text: String, accepted: Int64 = 5) -> Delivery {
    Delivery(id: NotificationID(digest: Array(repeating: 1, count: 32)), accepted: accepted, bytes: Array(text.utf8))
}

@Suite struct DeliveryCallTests {
    private func delivered(_ call: inout DeliveryCall, gateways: Int) -> DeliveryCall.Step {
        call.delivered(epoch: 7, entries: [], gateways: gateways)
    }

    @Test func whoHasNoRouteIsPushedTo() {
        var call = DeliveryCall()
        #expect(delivered(&call, gateways: 0) == .push)
    }

    @Test func oneGatewayThatHearsIsEnough() {
        var call = DeliveryCall()
        #expect(delivered(&call, gateways: 2) == .publish)
        #expect(call.published(receivers: 1) == .wait)
        #expect(call.published(receivers: 0) == .settled)
    }

    @Test func routesAreReadOnceMoreAndThenThePersonCountsAsWithoutOne() {
        var call = DeliveryCall()
        _ = delivered(&call, gateways: 1)
        #expect(call.published(receivers: 0) == .deliver)
        #expect(delivered(&call, gateways: 1) == .publish)
        #expect(call.published(receivers: 0) == .push)
        call.clear()
        _ = delivered(&call, gateways: 1)
        #expect(call.published(receivers: 0) == .deliver)
        #expect(delivered(&call, gateways: 1) == .publish)
        #expect(call.published(receivers: 1) == .settled)
        call.clear()
        _ = delivered(&call, gateways: 1)
        #expect(call.published(receivers: 0) == .deliver)
        #expect(delivered(&call, gateways: 0) == .push)
    }
}

@Suite struct GatewayOutboxTests {
    private let connection = Array("host.a#00000000000000ab.7.2".utf8)

    private func call(_ notifications: String...) -> DeliveryCall {
        var call = DeliveryCall()
        call.deliveries = notifications.map { delivery($0) }
        call.records = Array(notifications.indices)
        call.epoch = 9
        call.entries = notifications.indices.map { Delivered.Entry(isFresh: true, offset: UInt64($0 + 1)) }
        return call
    }

    @Test func whatIsAddedDuringAPublishLeavesTogetherInTheNext() {
        var table = GatewayTable(limit: 1 << 20)
        guard let (gateway, route) = table.find(connection) else { return #expect(Bool(false)) }
        #expect(table.find(connection)?.gateway == gateway)
        #expect(table.outboxes[gateway].begin() == nil)
        table.outboxes[gateway].add(call("{}"), 1, routes: [route])
        let first = table.outboxes[gateway].begin()
        #expect(String(decoding: first?.lines ?? [], as: UTF8.self) == "[[\"7.2\",\"9-1\",5]]\n{}\n")
        table.outboxes[gateway].add(call("{\"a\":1}", "{\"b\":1}"), 2, routes: [route, route])
        table.outboxes[gateway].add(call("{\"c\":1}"), 3, routes: [route])
        #expect(table.outboxes[gateway].begin() == nil)
        #expect(table.outboxes[gateway].answered().slots == [1])
        let second = table.outboxes[gateway].begin()
        #expect(second?.count == 3 && second?.slots == [2, 3])
        #expect(
            String(decoding: second?.lines ?? [], as: UTF8.self)
                == "[[\"7.2\",\"9-1\",5],[\"7.2\",\"9-1\",5]]\n{\"a\":1}\n[[\"7.2\",\"9-2\",5],[\"7.2\",\"9-2\",5]]\n{\"b\":1}\n[[\"7.2\",\"9-1\",5]]\n{\"c\":1}\n"
        )
    }

    /// One person with 3,000 connections and ten notifications at once: no batch follows their product.
    @Test func thePublishesForManyConnectionsOfOnePersonAreBounded() throws {
        let limit = 32 << 10
        var table = GatewayTable(limit: limit)
        var routes: [GatewayTable.Route] = []
        var gateway = 0
        for index in 0..<3_000 {
            let connection = table.find(Array("host.a#00000000000000ab.\(index).1".utf8))
            let found = try #require(connection)
            gateway = found.gateway
            routes.append(found.connection)
        }
        let notifications = (0..<10).map { "{\"n\":\($0),\"a\":\"\(String(repeating: "x", count: 500))\"}" }
        var many = DeliveryCall()
        many.deliveries = notifications.map { delivery($0) }
        many.records = Array(notifications.indices)
        many.epoch = 9
        many.entries = notifications.indices.map { Delivered.Entry(isFresh: true, offset: UInt64($0 + 1)) }
        table.outboxes[gateway].add(many, 1, routes: routes)
        table.outboxes[gateway].add(call("{\"last\":1}"), 2, routes: [routes[0]])
        var (parcels, recipients, deliveries): ([GatewayOutbox.Parcel], [String: [UInt64]], Int) = ([], [:], 0)
        while let parcel = table.outboxes[gateway].begin() {
            parcels.append(parcel)
            _ = table.outboxes[gateway].answered()
            #expect(parcel.lines.count < limit + 1_000)
            deliveries += parcel.count
            var at = 0
            while let pair = try GatewayMessage.pair(parcel.lines.span, &at) {
                var each = pair.recipients.lowerBound
                var line = try GatewayRecipients(parcel.lines.span, &each)
                while let recipient = try line.next(parcel.lines.span, &each) {
                    recipients["\(recipient.connection)", default: []].append(recipient.position?.offset ?? 0)
                }
            }
        }
        #expect(parcels.count > 10 && deliveries == 11)
        #expect(recipients.count == 3_000)
        #expect(recipients.values.count { $0 == (1...10).map { UInt64($0) } } == 2_999)
        // The call waits for its last batch, and for nothing that leaves after that.
        #expect(parcels.flatMap(\.slots) == [1, 2] && parcels.dropLast(2).allSatisfy { $0.slots.isEmpty })
    }

    @Test func aBatchIsBounded() {
        var outbox = GatewayOutbox(instance: InstanceID("a#00000000000000ab")!, limit: 100)
        let route = Array("a#00000000000000ab.1.1".utf8)
        let text = "{\"a\":\"\(String(repeating: "x", count: 60))\"}"
        for slot in 0..<4 { outbox.add(call(text), slot, routes: [GatewayTable.Route(text: route, local: 19)]) }
        var parcels: [[Int]] = []
        while let parcel = outbox.begin() {
            #expect(parcel.lines.count < 300)
            parcels.append(parcel.slots)
            #expect(outbox.answered().slots == parcel.slots)
        }
        #expect(parcels.flatMap { $0 } == [0, 1, 2, 3])
        #expect(parcels.count >= 2)
    }

    /// A post's members follow one another: its bytes are sent once.
    @Test func recipientsOfOneRecordShareItsBytes() {
        var outbox = GatewayOutbox(instance: InstanceID("a#00000000000000ab")!, limit: 1 << 20)
        let route = GatewayTable.Route(text: Array("a#00000000000000ab.1.1".utf8), local: 19)
        var other = call("{\"b\":2}")
        other.records = [1]
        outbox.add(call("{}"), 1, routes: [route])
        outbox.add(call("{}"), 2, routes: [route])
        outbox.add(other, 3, routes: [route])
        outbox.add(call("{}"), 4, routes: [route])
        let parcel = outbox.begin()
        #expect(parcel?.count == 4 && parcel?.slots == [1, 2, 3, 4])
        #expect(
            String(decoding: parcel?.lines ?? [], as: UTF8.self)
                == "[[\"1.1\",\"9-1\",5],[\"1.1\",\"9-1\",5]]\n{}\n[[\"1.1\",\"9-1\",5]]\n{\"b\":2}\n[[\"1.1\",\"9-1\",5]]\n{}\n")
    }

    @Test func whatIsNoConnectionIsNoRoute() {
        var table = GatewayTable(limit: 100)
        for text in ["", "x", "a.1.2", "a#00000000000000ab", "a#00000000000000ab.1", "a b#00000000000000ab.1.1"] {
            #expect(table.find(Array(text.utf8)) == nil)
        }
        #expect(table.outboxes.isEmpty)
        #expect(table.find(Array("a#00000000000000ab.1.1".utf8))?.gateway == 0)
        #expect(table.find(Array("b#00000000000000ab.1.1".utf8))?.gateway == 1)
        #expect(table.find(Array("a#00000000000000ac.1.1".utf8))?.gateway == 2)
        #expect(table.find(Array("b#00000000000000ab.9.9".utf8))?.gateway == 1)
    }
}

@Suite struct RecordOrderTests {
    private let key: [UInt8] = [1]

    @Test func namedPeopleGoAtOnceWhereNothingIsRead() {
        var order = RecordOrder()
        #expect(order.admit(direct: 0, key: key) == true)
        order.admit(1, audience: "channel:c", key: key)
        #expect(order.admit(direct: 2, key: [2]) == true)
        #expect(order.admit(direct: 3, key: key) == false)
    }

    @Test func postsOfOneAudienceAreReadTogether() {
        var order = RecordOrder()
        order.admit(0, audience: "channel:c", key: key)
        order.admit(1, audience: "channel:c", key: key)
        #expect(order.admit(direct: 2, key: key) == false)
        order.admit(3, audience: "channel:c", key: key)
        order.admit(4, audience: "channel:c", key: key)
        order.admit(5, audience: "channel:d", key: key)
        let first = order.begin()
        #expect(first?.records == [0, 1])
        #expect(order.begin() == nil)
        // What comes while it is under way is not in it.
        order.admit(6, audience: "channel:d", key: key)
        #expect(order.finished(first!) == [2])
        let second = order.begin()
        #expect(second?.records == [3, 4])
        #expect(order.finished(second!) == [])
        let third = order.begin()
        #expect(third?.records == [5, 6] && third?.audience == "channel:d")
        #expect(order.finished(third!) == [])
        #expect(order.isEmpty)
        #expect(order.admit(direct: 7, key: key) == true)
    }

    @Test func differentKeysAreReadAtOnce() {
        var order = RecordOrder()
        order.admit(0, audience: "channel:c", key: [1])
        order.admit(1, audience: "channel:c", key: [2])
        #expect(order.begin()?.records == [0])
        #expect(order.begin()?.records == [1])
    }

    @Test func theOrderOfAKeyIsKept() {
        let seed = TestSeed.announced()
        var random = SeededGenerator(seed: seed)
        var order = RecordOrder()
        var (given, went): ([[UInt8]: [Int]], [[UInt8]: [Int]]) = ([:], [:])
        var keys: [Int: [UInt8]] = [:]
        var underWay: [AudienceReading] = []
        func go(_ record: Int) { went[keys[record]!, default: []].append(record) }
        func advance() {
            while let reading = order.begin() { underWay.append(reading) }
            guard !underWay.isEmpty else { return }
            let reading = underWay.remove(at: Int.random(in: underWay.indices, using: &random))
            reading.records.forEach(go)
            order.finished(reading).forEach(go)
        }
        for record in 0..<5000 {
            let key = [UInt8.random(in: 0..<5, using: &random)]
            keys[record] = key
            given[key, default: []].append(record)
            if Int.random(in: 0..<3, using: &random) == 0 {
                order.admit(record, audience: "channel:\(Int.random(in: 0..<3, using: &random))", key: key)
            } else if order.admit(direct: record, key: key) {
                go(record)
            }
            if Int.random(in: 0..<4, using: &random) == 0 { advance() }
        }
        while !order.isEmpty { advance() }
        #expect(given == went)
    }
}

@Suite struct AudienceReadingTests {
    private let beginning = AudienceReading(key: [], audience: "channel:c", records: [0])

    @Test func goesOnFromTheLastMember() {
        var reading = beginning
        let page = MemberPage(members: [person("a"), person("b")], isLast: false)
        #expect(reading.answered(.success(page), attempts: 2) == .members(page.members, isLast: false))
        #expect(reading.last == person("b"))
        #expect(reading.answered(.failure(.outage("late")), attempts: 1) == .again(.outage("late")))
        #expect(reading.answered(.success(MemberPage(members: [], isLast: false)), attempts: 2) == .members([], isLast: true))
    }

    @Test func givesUpOnAFaultOfItsOwn() {
        var reading = beginning
        let fault = StoreError.fault("WRONGTYPE")
        #expect(reading.answered(.failure(fault), attempts: 2) == .again(fault))
        #expect(reading.answered(.failure(fault), attempts: 2) == .giveUp)
    }

    /// So many audiences at once; the others come as each ends, and what stood behind one goes then.
    @Test func aFewAreReadAtOnce() throws {
        var readings = AudienceReadings(limit: 2, attempts: 3)
        for number in 0..<3 { readings.admit(number, audience: "channel:\(number)", key: [UInt8(number)]) }
        #expect(readings.admit(direct: 3, key: [0]) == false)
        #expect(readings.hasNext() == true)
        let first = readings.takeNext()
        #expect(first.map(\.records) == [[0], [1]])
        #expect(readings.hasNext() == false)
        // A page that is not the last, or that fails, comes again.
        #expect(readings.answered(first[0], .success(MemberPage(members: [person("a")], isLast: false))) != .giveUp)
        #expect(readings.answered(first[1], .failure(.outage("late"))) == .again(.outage("late")))
        #expect(readings.hasNext() == true)
        let again = readings.takeNext()
        #expect(again.map(\.records) == [[0], [1]] && again.first?.last == person("a"))
        #expect(readings.answered(again[0], .success(MemberPage(members: [], isLast: true))) == .members([], isLast: true))
        #expect(readings.hasNext() == false)
        #expect(readings.end(again[0]) == [3])
        #expect(readings.hasNext() == true)
        #expect(readings.takeNext().map(\.records) == [[2]])
        #expect(!readings.isEmpty)
    }
}

@Suite struct MembersBodyTests {
    /// To `String` a colon and a combining mark behind it are one character.
    @Test(arguments: ["x", "\u{301}x", "\u{200D}", "\u{1F3FD}", "a:b"]) func audiencesAreTakenApartByBytes(_ id: String) throws {
        for kind in ["channel:", "followers:"] {
            let audience = try #require(AudienceRoutes.audience(kind + id))
            #expect(Array(audience.utf8) == Array((kind + id).utf8))
            #expect(AudienceRoutes.audience(kind) == nil && AudienceRoutes.audience(id) == nil)
        }
    }

    @Test func reads() {
        func members(_ text: String) -> [String]? { AudienceRoutes.members(Array(text.utf8))?.map(\.text) }
        #expect(members(#"{"members":["a","b\u00e9"]}"#) == ["a", "bé"])
        #expect(members(#"{"members":[],"other":1}"#) == [])
        for text in [
            "", "{}", "[]", #"{"members":"a"}"#, #"{"members":[1]}"#, #"{"members":[""]}"#, #"{"members":["a{"]}"#, #"{"members":["a"]}x"#,
        ] {
            #expect(members(text) == nil)
        }
        func many(_ count: Int) -> String { "{\"members\":[" + (0..<count).map { "\"\($0)\"" }.joined(separator: ",") + "]}" }
        #expect(members(many(1000))?.count == 1000)
        #expect(members(many(1001)) == nil)
    }
}

@Suite struct BatchOutputsTests {
    private func push(_ bytes: Int) -> OutgoingRecord { OutgoingRecord(topic: "push.low", value: Array(repeating: 0, count: bytes)) }

    @Test func whatIsManyLeavesAtOnceAndOnePortionAtATime() {
        var limits = FanoutLimits()
        (limits.outputRecords, limits.outputBytes) = (3, 100)
        var outputs = BatchOutputs(limits: limits)
        outputs.append(push(1))
        outputs.append(push(1))
        #expect(!outputs.isFull && outputs.begin() == nil && outputs.maySettle)
        outputs.append(push(1))
        #expect(outputs.isFull && outputs.begin()?.count == 3)
        #expect(!outputs.isFull && !outputs.maySettle)
        outputs.append(push(100))
        #expect(outputs.isFull && outputs.begin() == nil)
        outputs.written()
        #expect(outputs.maySettle && outputs.begin()?.count == 1)
        outputs.written()
        outputs.append(push(2))
        #expect(outputs.take().count == 1 && outputs.take().isEmpty)
    }
}
