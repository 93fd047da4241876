import Foundation
import Models
import TestSupport
import Testing

extension SeededGenerator {
    mutating func person() -> PersonID { PersonID(identifier())! }

    mutating func notificationID() -> NotificationID {
        NotificationID(digest: (0..<16).map { _ in UInt8.random(in: 0...255, using: &self) })
    }

    mutating func audience() -> Audience {
        switch Int.random(in: 0..<5, using: &self) {
        case 0: return .user(person())
        case 1: return .users((0..<Int.random(in: 1...5, using: &self)).map { _ in person() })
        case 2: return .channel(ChannelID(identifier())!)
        case 3: return .followersOf(person())
        default: return .broadcast
        }
    }
}

private func object(_ bytes: [UInt8]) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
}

private func event(_ random: inout SeededGenerator) throws -> (CloudEvent, EventData) {
    let data =
        #"{"audience":{"user":"bob"},"actor":{"id":"alice","name":\#(quoted(random.text(5)))},"title":\#(quoted(random.text(9))),"#
        + #""body":\#(quoted(random.text(20))),"url":"/p","target":"t","collapseKey":"c:1","data":\#(random.json(3))}"#
    let text = #"{"specversion":"1.0","id":\#(quoted(random.text(6) + "i")),"source":"/s","type":"social.like","data":\#(data)}"#
    let event = try CloudEvent.read(value: Array(text.utf8), headers: [])
    return (event, try EventData.read(event))
}

@Suite struct RecordTests {
    @Test func notificationsHaveTheFieldsOfTheContract() throws {
        var random = SeededGenerator(seed: 1)
        let (_, data) = try event(&random)
        var writer = JSONWriter()
        Notification.encode(
            &writer, id: random.notificationID(), type: "social.like", priority: .high, event: data, createdAt: 1000, expiresAt: 2000)
        let fields = try object(writer.take())
        #expect(
            Set(fields.keys) == ["id", "type", "priority", "title", "body", "url", "actor", "target", "data", "createdAt", "expiresAt"])
        #expect(fields["createdAt"] as? String == "1970-01-01T00:00:01.000Z")
    }

    @Test func absentFieldsAreLeftOut() throws {
        let bytes = Array(
            #"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"audience":{"user":"b"},"actor":"al\"ice"}}"#.utf8)
        let data = try EventData.read(try CloudEvent.structured(bytes))
        var writer = JSONWriter()
        let id = NotificationID(digest: Array(repeating: 0, count: 32))
        Notification.encode(&writer, id: id, type: "t", priority: .low, event: data, createdAt: 0, expiresAt: 1)
        #expect(
            String(decoding: writer.take(), as: UTF8.self)
                == #"{"id":"00000000-0000-8000-8000-000000000000","type":"t","priority":"low","actor":{"id":"al\"ice"},"#
                + #""createdAt":"1970-01-01T00:00:00.000Z","expiresAt":"1970-01-01T00:00:00.001Z"}"#)
    }

    @Test func recordsRoundTrip() throws {
        try property(500) { random in
            let (event, data) = try event(&random)
            let id = random.notificationID()
            var writer = JSONWriter()
            Notification.encode(&writer, id: id, type: event.type, priority: .high, event: data, createdAt: 5, expiresAt: 6)
            let notification = writer.take()
            #expect(!notification.contains(0x0A) && !notification.contains(0x0D))
            let audience = random.audience()
            NotificationRecord.encode(
                &writer, event: event, accepted: 77, audience: audience, push: true, ttlSeconds: 9, collapseKey: data.collapseKey,
                notification: notification)
            let value = writer.take()
            let record = try NotificationRecord.read(value)
            #expect(record.id == id && record.accepted == 77 && record.audience == audience && record.push)
            #expect(record.ttlSeconds == 9 && record.expiresAt == 9077 && record.actor == PersonID("alice"))
            #expect(Array(value[record.notification]) == notification)
            let fields = try object(value)
            #expect(
                Set(fields.keys) == ["v", "source", "eventId", "accepted", "audience", "push", "ttlSeconds", "collapseKey", "notification"])
            #expect(fields["collapseKey"] as? String == "c:1" && fields["eventId"] as? String == event.id)

            let person = random.person()
            let position = StreamPosition(epoch: 1_700_000_000_000, offset: random.next() >> 12)
            PushRecord.encode(
                &writer, person: person, position: position, reason: .offline, accepted: 77, source: value,
                notification: record.notification)
            let pushed = writer.take()
            let push = try PushRecord.read(pushed)
            #expect(push.person == person && push.position == position && push.reason == .offline && push.accepted == 77 && push.id == id)
            #expect(Array(pushed[push.notification]) == notification)
            #expect(Set(try object(pushed).keys) == ["v", "person", "offset", "epoch", "reason", "accepted", "notification"])

            let texts = try NotificationTexts.read(notification.span)
            #expect(texts.id == id && texts.type == event.type && texts.priority == .high && texts.expiresAt == 6)
            #expect(texts.title == (try object(notification))["title"] as? String)
        }
    }

    @Test func mutilatedRecordsAreRefusedAndNeverTrap() throws {
        try property(3000) { random in
            let (event, data) = try event(&random)
            var writer = JSONWriter()
            Notification.encode(&writer, id: random.notificationID(), type: "t", priority: .low, event: data, createdAt: 5, expiresAt: 6)
            let notification = writer.take()
            NotificationRecord.encode(
                &writer, event: event, accepted: 1, audience: random.audience(), push: false, ttlSeconds: 9, collapseKey: nil,
                notification: notification)
            var value = writer.take()
            #expect(throws: DeadLetter.self) { _ = try NotificationRecord.read(Array(value.dropLast())) }
            for _ in 0..<3 { value[Int.random(in: value.indices, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            if let record = try? NotificationRecord.read(value) { #expect(record.notification.upperBound <= value.count) }
        }
    }

    @Test func fieldsOfLaterVersionsAreIgnored() throws {
        let text =
            #"{"new":[1],"v":1,"accepted":1,"audience":{"user":"b"},"push":true,"notification":{"id":"00000000-0000-8000-8000-000000000000","new":1}}"#
        let record = try NotificationRecord.read(Array(text.utf8))
        #expect(record.expiresAt == .max)
        #expect(throws: DeadLetter(.invalidData, "v is not 1")) {
            _ = try NotificationRecord.read(Array(text.replacing("\"v\":1", with: "\"v\":2").utf8))
        }
    }

    @Test func positionsOfPushesMayBeText() throws {
        let text =
            #"{"v":1,"person":"b","offset":"7","epoch":"18446744073709551615","reason":"departed","accepted":1,"#
            + #""notification":{"id":"00000000-0000-8000-8000-000000000000"}}"#
        let push = try PushRecord.read(Array(text.utf8))
        #expect(push.position == StreamPosition(epoch: .max, offset: 7) && push.reason == .departed)
        for wrong in ["-1", "\"x\"", "\"\"", "\"7 \"", "1.5", "null"] {
            #expect(throws: DeadLetter.self) {
                _ = try PushRecord.read(Array(text.replacing("\"7\"", with: wrong).utf8))
            }
        }
    }

    @Test func gatewayMessagesRoundTrip() throws {
        try property(300) { random in
            var batch = GatewayBatch()
            var expected: [(recipients: [GatewayRecipient], notification: [UInt8])] = []
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let recipients = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    GatewayRecipient(
                        connection: LocalConnection(
                            index: UInt32.random(in: 0...9999, using: &random), generation: UInt32(truncatingIfNeeded: random.next())),
                        position: random.chance(5) ? nil : StreamPosition(epoch: random.next(), offset: random.next()),
                        accepted: Int64(random.next() >> 20), priority: random.chance(2) ? nil : Priority.allCases[Int(random.next() % 3)])
                }
                let notification = Array("{\"a\":\(random.next())}".utf8)
                for recipient in recipients {
                    if random.chance(2) {
                        batch.recipient(
                            recipient.connection, recipient.position, accepted: recipient.accepted, priority: recipient.priority)
                    } else {
                        let text = Array("..\(recipient.connection.index).\(recipient.connection.generation)".utf8)
                        batch.recipient(
                            text, 2..<text.count, recipient.position, accepted: recipient.accepted, priority: recipient.priority)
                    }
                }
                batch.end(notification, 0..<notification.count)
                expected.append((recipients, notification))
            }
            #expect(batch.count == expected.count)
            let message = GatewayMessage.head(sequence: 42) + batch.take()
            let bytes = message.span
            var at = 0
            #expect(try GatewayMessage.head(bytes, &at).sequence == 42)
            var index = 0
            while let pair = try GatewayMessage.pair(bytes, &at) {
                #expect(Array(message[pair.notification]) == expected[index].notification)
                var each = pair.recipients.lowerBound
                var recipients = try GatewayRecipients(bytes, &each)
                var found: [GatewayRecipient] = []
                while let recipient = try recipients.next(bytes, &each) { found.append(recipient) }
                #expect(found == expected[index].recipients)
                index += 1
            }
            #expect(index == expected.count)
        }
    }

    @Test(arguments: ["", "{}\n", "{\"v\":2,\"n\":1}\n", "{\"v\":1,\"n\":-1}\n", "{\"v\":1,\"n\":1}x", "x"])
    func refusesHeads(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(throws: JSONError.self) {
            var at = 0
            _ = try GatewayMessage.head(bytes.span, &at)
        }
    }

    @Test(arguments: [
        #"[["1",null,1]]"#, #"[["1.2","x",1]]"#, #"[["1.2"]]"#, #"[[]]"#, #"[["1.2",null]]"#, #"{"#, #"[["4294967296.0",null,1]]"#,
    ])
    func refusesRecipients(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(throws: JSONError.self) {
            var at = 0
            var recipients = try GatewayRecipients(bytes.span, &at)
            while try recipients.next(bytes.span, &at) != nil {}
        }
    }

    /// A recipient of a later version may say more, and of the version before this less.
    @Test func recipientsOfNeighboursInTimeAreRead() throws {
        for (text, priority) in [
            (#"[["1.2","3-4",5]]"#, nil), (#"[["1.2","3-4",5,0]]"#, .high), (#"[["1.2","3-4",5,2,"more",{}]]"#, .low),
            (#"[["1.2","3-4",5,9]]"#, nil), (#"[["1.2","3-4",5,"high"]]"#, nil),
        ] as [(String, Priority?)] {
            let bytes = Array(text.utf8)
            var at = 0
            var recipients = try GatewayRecipients(bytes.span, &at)
            let recipient = try #require(try recipients.next(bytes.span, &at))
            #expect(recipient.accepted == 5 && recipient.priority == priority)
            #expect(try recipients.next(bytes.span, &at) == nil)
        }
    }

    @Test func aPostSaysWhenItWasAcceptedAndHowUrgentItIs() throws {
        let channel = ChannelID("a")!
        var batch = GatewayBatch()
        batch.post(channel, StreamPosition(epoch: 7, offset: 9), accepted: 12, priority: .high, Array("{}".utf8), 0..<2)
        var lines = batch.take().split(separator: 0x0A).dropFirst().map { Array($0) }
        lines.append(Array(#"{"channel":"a","position":"7-9","pub":{}}"#.utf8))
        let read = try lines.map { try ChannelLine.read($0.span, $0.indices) }
        #expect(read.map(\.accepted) == [12, 0] && read.map(\.priority) == [.high, nil])
    }

    /// Lines for a channel's watchers read back, and whoever looks for recipients finds none.
    @Test func channelLinesAreSteppedOver() throws {
        let channel = ChannelID("a \"b\" ü")!
        let post = Array(#"x{"id":"1","title":"}"}x"#.utf8)
        var batch = GatewayBatch()
        batch.post(channel, StreamPosition(epoch: 7, offset: 9), post, 1..<post.count - 1)
        batch.presence(channel, joins: true, Array(#"{"user":"ann"}"#.utf8))
        batch.presence(channel, joins: false, Array("{}".utf8))
        #expect(batch.count == 3)
        let message = GatewayMessage.head(sequence: 1) + batch.take() + Array("[]\n{\"channel\":\"c\",\"later\":1}\n".utf8)
        var at = 0
        _ = try GatewayMessage.head(message.span, &at)
        var lines: [ChannelLine] = []
        while let pair = try GatewayMessage.pair(message.span, &at) {
            var each = pair.recipients.lowerBound
            var recipients = try GatewayRecipients(message.span, &each)
            #expect(try recipients.next(message.span, &each) == nil)
            lines.append(try ChannelLine.read(message.span, pair.notification))
        }
        #expect(lines.count == 4 && lines[..<3].allSatisfy { $0.channel == channel } && lines[3].kind == .unknown)
        var texts: [String] = []
        for line in lines {
            switch line.kind {
            case .post(let position, let range):
                texts.append("\(position) \(String(decoding: message[range], as: UTF8.self))")
            case .join(let range), .leave(let range): texts.append(String(decoding: message[range], as: UTF8.self))
            case .unknown: break
            }
        }
        #expect(texts == [#"7-9 {"id":"1","title":"}"}"#, #"{"user":"ann"}"#, "{}"])
        for bad in [#"{"position":"1-2","pub":{}}"#, #"{"channel":"c","pub":{}}"#, #"{"channel":7}"#, "[]", ""] {
            let bytes = Array(bad.utf8)
            #expect(throws: JSONError.self) { try ChannelLine.read(bytes.span, bytes.indices) }
        }
    }
}
