import Foundation
import Models
import Testing

@Suite struct IdentifierTests {
    @Test(arguments: ["a", "acme/bob", "auth0|507f1f77bcf86cd799439011", "|", "é漢🎈", "a b", "x\u{A0}y", String(repeating: "x", count: 128)])
    func takes(_ text: String) {
        #expect(PersonID(text)?.text == text)
        #expect(PersonID(Array(text.utf8).span)?.text == text)
    }

    @Test(arguments: ["", "a{b", "a}b", "a\nb", "\0", "a\u{7F}", "a\u{80}", "a\u{9F}", String(repeating: "x", count: 129)])
    func refuses(_ text: String) {
        #expect(PersonID(text) == nil)
        #expect(PersonID(Array(text.utf8).span) == nil)
    }

    @Test func refusesWhatIsNotUTF8() {
        for bytes: [UInt8] in [[0xFF], [0x61, 0x80], [0xC3]] { #expect(PersonID(bytes.span) == nil) }
    }

    /// `String` holds both forms of é equal; a Redis key does not.
    @Test func comparesBytes() throws {
        let composed = try #require(PersonID("\u{E9}"))
        let decomposed = try #require(PersonID("e\u{301}"))
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed, composed]).count == 2)
        #expect(PersonID("abcdefgh")?.hashValue == PersonID("abcdefgh")?.hashValue)
    }

    /// The check value of CRC-16/XMODEM, and slots as `CLUSTER KEYSLOT` answers them.
    @Test func shards() throws {
        #expect(crc16(Array("123456789".utf8).span) == 0x31C3)
        #expect(crc16(Array("foo".utf8).span) % 16384 == 12182)
        let alice = try #require(PersonID("alice"))
        #expect(shard(of: alice, shards: 64) == Int(crc16(Array("alice".utf8).span)) % 64)
    }

    @Test func positions() {
        #expect(StreamPosition("1700000000000-7") == StreamPosition(epoch: 1_700_000_000_000, offset: 7))
        #expect(StreamPosition(epoch: 0, offset: .max).description == "0-18446744073709551615")
        for text in ["", "-", "1-", "-1", "1", "1-2-3", "1-2 ", " 1-2", "+1-2", "1-18446744073709551616", "a-b"] {
            #expect(StreamPosition(text) == nil)
        }
        #expect(StreamPosition(epoch: 2, offset: 1) > StreamPosition(epoch: 1, offset: 9))
    }

    @Test func cursors() throws {
        property(500) { random in
            let position = StreamPosition(epoch: random.next(), offset: random.next() >> UInt64.random(in: 0..<64, using: &random))
            let cursor = Cursor(position)
            var bytes: [UInt8] = []
            cursor.append(to: &bytes)
            #expect(String(decoding: bytes, as: UTF8.self) == cursor.description)
            #expect(Cursor(cursor.description)?.position == position)
        }
        for text in ["", "1", "1.", "2.1-2", "1-2", "1.1-2x", "11.1-2"] { #expect(Cursor(text) == nil) }
    }

    /// To `String` a dot and a combining mark behind it are one character.
    @Test func typesAreTakenApartByBytes() {
        #expect(Topics().events(forType: "social.\u{301}x") == "events.social")
        #expect(Topics().events(forType: "") == nil && Topics().events(forType: ".a") == nil && Topics().events(forType: "a") == "events.a")
        var table = PolicyTable()
        table.add("social.*", Policy(category: "c", priority: .low, channels: .inApp, ttlSeconds: 1))
        #expect(table.policy(for: "social.\u{301}x")?.priority == .low && table.policy(for: "socialx") == nil)
    }

    /// Version and variant bits are set (RFC 9562 section 5.8), the rest is the digest.
    @Test func notificationIDs() throws {
        #expect(NotificationID.digestInput(source: "/posts", eventID: "1") == Array("/posts\u{0}1".utf8))
        let id = NotificationID(digest: (0..<32).map { UInt8($0 * 8 % 256) | 0x0F })
        #expect(id.description == "0f0f1f1f-2f2f-8f3f-8f4f-5f5f6f6f7f7f")
        try property(500) { random in
            let digest = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
            let id = NotificationID(digest: digest)
            #expect(NotificationID(id.description) == id)
            let uuid = try #require(UUID(uuidString: id.description))
            // Apple's UUIDs are upper case, and the same.
            #expect(uuid.uuidString.lowercased() == id.description && NotificationID(uuid.uuidString) == id)
            #expect(Array(id.description)[14] == "8")
            #expect("89ab".contains(Array(id.description)[19]))
        }
        for text in [
            "", "0g0f1f1f-2f2f-8f3f-8f4f-5f5f6f6f7f7f", "0f0f1f1f-2f2f-8f3f-8f4f-5f5f6f6f7f7", "0f0f1f1f+2f2f-8f3f-8f4f-5f5f6f6f7f7f",
        ] {
            #expect(NotificationID(text) == nil)
        }
    }

    @Test func connections() throws {
        let instance = try #require(InstanceID(name: "host.example", epoch: 0xAB))
        #expect(instance.text == "host.example#00000000000000ab")
        #expect(instance.name == "host.example")
        let connection = ConnectionID(instance: instance, index: 4, generation: 4_294_967_295)
        #expect(connection.description == "host.example#00000000000000ab.4.4294967295")
        #expect(ConnectionID(connection.description) == connection)
        for text in [
            "", "a#00000000000000ab", "a#00000000000000ab.1", "a#00000000000000ab.1.4294967296", "a.1.2", "#00000000000000ab.1.2",
            "a b#00000000000000ab.1.2",
        ] {
            #expect(ConnectionID(text) == nil)
        }
    }

    @Test func topics() {
        let topics = Topics()
        #expect(topics.everyEvent == #"^events\..*"#)
        #expect(topics.notifications(.high) == "notifications.high")
        #expect(topics.transactionalID("push-service", instance: "a") == "carillon-push-service-a")
        #expect(topics.events(forType: "social.like") == "events.social")
        #expect(topics.events(forType: "dlq.x") == nil)
        #expect(topics.events(forType: ".x") == nil)
        #expect(topics.events(forType: "a b.x") == nil)
        let staging = Topics(namespace: "staging")
        #expect(staging.everyEvent == #"^staging\.events\..*"#)
        #expect(staging.consumerGroup("fanout-worker") == "staging.carillon-fanout-worker")
    }
}
