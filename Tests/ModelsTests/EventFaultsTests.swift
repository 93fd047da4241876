import Models
import Testing

/// What is wrong with a value, in the words of its dead letter.
private func fault(_ value: [UInt8], _ headers: [(name: String, value: [UInt8])] = []) -> DeadLetter? {
    do throws(DeadLetter) {
        _ = try EventData.read(try CloudEvent.read(value: value, headers: headers))
        return nil
    } catch { return error }
}

private func fault(_ text: String, _ headers: [String: String] = [:]) -> DeadLetter? {
    fault(Array(text.utf8), headers.map { ($0.key, Array($0.value.utf8)) })
}

private func event(_ more: String = "", data: String = #"{"audience":{"user":"bob"}}"#) -> String {
    #"{"specversion":"1.0","id":"1","source":"/s","type":"a.b"\#(more),"data":\#(data)}"#
}

private let binary = ["ce_specversion": "1.0", "ce_id": "7", "ce_source": "/posts", "ce_type": "social.like"]

/// Each error names the member and what it must be.
@Suite struct EventFaultsTests {
    @Test(arguments: [
        (#"{"audience":{"user":7}}"#, "data.audience.user must be text, not a number"),
        (#"{"audience":{"user":""}}"#, "data.audience.user must not be empty"),
        (#"{"audience":{"user":"a{"}}"#, "data.audience.user holds a character that no id may have"),
        (#"{"audience":{"users":"bob"}}"#, "data.audience.users must be a list, not text"),
        (#"{"audience":{"users":[]}}"#, "data.audience.users must not be empty"),
        (#"{"audience":{"users":["a",null]}}"#, "data.audience.users[1] must be text, not null"),
        (#"{"audience":{"broadcast":false}}"#, "data.audience.broadcast must be true"),
        (#"{"audience":{"usr":"bob"}}"#, "data.audience must name one of user, users, channel"),
        (#"{"audience":{"user":"a","channel":"b"}}"#, "data.audience must name one of user, users, channel, not several"),
        (#"{"audience":"bob"}"#, "data.audience must be an object, not text"),
        ("{}", "data.audience is missing"),
        ("5", "data must be an object"),
        (#"{"audience":{"user":"a"},"title":5}"#, "data.title must be text, not a number"),
        (#"{"audience":{"user":"a"},"collapseKey":{}}"#, "data.collapseKey must be text, not an object"),
        (#"{"audience":{"user":"a"},"priority":"urgent"}"#, "data.priority must be high, normal or low"),
        (#"{"audience":{"user":"a"},"priority":1}"#, "data.priority must be high, normal or low, not a number"),
        (#"{"audience":{"user":"a"},"ttlSeconds":"9"}"#, "data.ttlSeconds must be a whole number from 1 to 315360000"),
        (#"{"audience":{"user":"a"},"ttlSeconds":1.5}"#, "data.ttlSeconds must be a whole number from 1 to 315360000"),
        (#"{"audience":{"user":"a"},"actor":{"name":"x"}}"#, "data.actor.id is missing"),
        (#"{"audience":{"user":"a"},"actor":{"id":3}}"#, "data.actor.id must be text, not a number"),
        (#"{"audience":{"user":"a"},"actor":[]}"#, "data.actor must be an object or text, not a list"),
    ]) func ofData(_ data: String, _ detail: String) {
        #expect(fault(event(data: data)) == DeadLetter(.invalidData, detail))
    }

    @Test func ofOnePersonAmongMany() {
        var people = (0..<20).map { "\"u\($0)\"" }
        people[17] = "\"" + String(repeating: "x", count: 129) + "\""
        let data = #"{"audience":{"users":[\#(people.joined(separator: ","))]}}"#
        #expect(fault(event(data: data)) == DeadLetter(.invalidData, "data.audience.users[17] is longer than 128 bytes"))
        let crowd = (0...1000).map { "\"u\($0)\"" }.joined(separator: ",")
        #expect(
            fault(event(data: #"{"audience":{"users":[\#(crowd)]}}"#))
                == DeadLetter(.invalidData, "data.audience.users holds more than 1000"))
    }

    @Test func ofAttributes() {
        let good = event()
        let faults = [
            (good.replacing("\"1.0\"", with: "\"0.3\""), "specversion must be 1.0"),
            (good.replacing("\"1.0\"", with: "1.0"), "specversion must be text, not a number"),
            (good.replacing("\"specversion\":\"1.0\",", with: ""), "specversion is missing"),
            (good.replacing("\"1\"", with: "1"), "id must be text, not a number"),
            (good.replacing("\"1\"", with: "null"), "id is missing"),
            (good.replacing("\"1\"", with: "\"\""), "id must not be empty"),
            (event(#","time":1795273999"#), "time must be RFC 3339, not a number"),
            (event(#","time":"yesterday""#), "time must be RFC 3339"),
            (event(#","partitionkey":9"#), "partitionkey must be text, not a number"),
            ("[\(good)]", "the event must be a JSON object"),
        ]
        for (text, detail) in faults { #expect(fault(text) == DeadLetter(.notCloudEvents, detail)) }
        #expect(fault(event(data: "null")) == DeadLetter(.invalidData, "no data"))
        #expect(fault(good.replacing("\"1\"", with: "1") + "{")?.reason == .notJSON)
    }

    /// The limit is reached, and one byte more is refused with its name.
    @Test func idsAndSourcesAreBounded() {
        let limit = CloudEvent.maximumAttributeBytes
        #expect(limit == 1024)
        for (name, old) in [("id", "\"1\""), ("source", "\"/s\""), ("type", "\"a.b\"")] {
            // Of two bytes each: bytes are counted, not characters.
            let longest = String(repeating: "é", count: limit / 2)
            #expect(fault(event().replacing(old, with: "\"\(longest)\"")) == nil)
            #expect(
                fault(event().replacing(old, with: "\"\(longest)x\""))
                    == DeadLetter(.notCloudEvents, "\(name) is longer than 1024 bytes"))
        }
        let key = String(repeating: "k", count: limit + 1)
        #expect(fault(event(#","partitionkey":"\#(key)""#))?.detail == "partitionkey is longer than 1024 bytes")
    }

    /// A trace as long as an event would be copied to everyone whom the event names.
    @Test func aTraceThatIsNoneIsLeftOut() throws {
        let long = String(repeating: "0", count: CloudEvent.maximumTraceBytes + 1)
        let attribute = try CloudEvent.read(value: Array(event(#","traceparent":"\#(long)""#).utf8), headers: [])
        #expect(attribute.traceParent == nil)
        let headers = [("traceparent", Array(long.utf8))]
        #expect(try CloudEvent.read(value: Array(event(#","traceparent":"00-x""#).utf8), headers: headers).traceParent == "00-x")
    }

    @Test func ofHeadersUnderAnotherName() {
        let data = #"{"audience":{"user":"bob"}}"#
        for content in [[:], ["content-type": "application/json"]] {
            let http = ["ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "a.b"].merging(content) { $1 }
            #expect(fault(data, http) == DeadLetter(.notCloudEvents, "ce- headers are those of HTTP: in Kafka they must be ce_"))
            #expect(fault(data, ["CE_ID": "1"].merging(content) { $1 })?.detail == "ce_ headers must be in lower case")
        }
        // A whole event says enough without any header.
        #expect(fault(event(), ["ce-id": "1"]) == nil)
    }

    @Test(arguments: [
        ("application/cloudevents+avro", "events in Avro are not read: one event is application/cloudevents+json"),
        ("application/cloudevents+protobuf", "events in Protobuf are not read: one event is application/cloudevents+json"),
        ("application/cloudevents+xml; charset=utf-8", "events in XML are not read: one event is application/cloudevents+json"),
        ("application/cloudevents-batch+json", "events in a batch are not read: one event is application/cloudevents+json"),
    ]) func ofFormatsThatAreNotRead(_ type: String, _ detail: String) {
        #expect(fault(event(), ["content-type": type]) == DeadLetter(.notCloudEvents, detail))
        #expect(fault("{}", binary.merging(["content-type": type]) { $1 }) == DeadLetter(.notCloudEvents, detail))
    }

    @Test func ofDataThatAreNotJSON() {
        for (type, name) in [
            ("application/avro", "Avro"), ("application/xml", "XML"), ("text/plain", "plain text"), ("a/b", "an unknown format"),
        ] {
            #expect(
                fault("{}", binary.merging(["content-type": type]) { $1 }) == DeadLetter(.invalidData, "the data must be JSON, not \(name)")
            )
        }
        #expect(
            fault(event(), ["content-encoding": "gzip"]) == DeadLetter(.notCloudEvents, "the content-encoding must be identity, not gzip"))
        #expect(fault(event(), ["Content-Encoding": "identity"]) == nil)
        #expect(fault("", binary) == DeadLetter(.invalidData, "no data: the value is empty"))
    }

    @Test func ofBytesThatAreNoText() {
        let registry = [0, 0, 0, 0, 7] + Array(event().utf8)
        let detail = "the first byte is 0, which looks like a schema registry's format: plain JSON is read"
        #expect(fault(registry) == DeadLetter(.notJSON, detail))
        #expect(fault(registry, binary.map { ($0.key, Array($0.value.utf8)) }) == DeadLetter(.notJSON, detail))
        #expect(fault([0x1F, 0x8B, 8, 0]) == DeadLetter(.notJSON, "the value is compressed with gzip: plain JSON is read"))
        #expect(fault([0x22, 0xFF, 0x22]) == DeadLetter(.notJSON, "the value is not UTF-8"))
        #expect(fault("nonsense") == DeadLetter(.notJSON, "the value is not JSON"))
        let latin = binary.map { ($0.key, Array($0.value.utf8)) } + [("ce_id", [0x63, 0xE9])]
        #expect(fault(Array(#"{"audience":{"user":"bob"}}"#.utf8), latin) == DeadLetter(.notCloudEvents, "ce_id is not UTF-8"))
    }
}
