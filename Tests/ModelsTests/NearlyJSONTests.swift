import Foundation
import Models
import Testing

private func event(_ data: String, more: String = "") -> [UInt8] {
    Array(#"{"specversion":"1.0","id":"1","source":"/s","type":"a.b"\#(more),"data":\#(data)}"#.utf8)
}

private let binary = ["ce_specversion": "1.0", "ce_id": "7", "ce_source": "/s", "ce_type": "a.b"].map {
    (name: $0.key, value: Array($0.value.utf8))
}

private func title(_ value: [UInt8], _ headers: [(name: String, value: [UInt8])] = []) throws -> String {
    let data = try EventData.read(try CloudEvent.read(value: value, headers: headers))
    return String(decoding: data.bytes[try #require(data.title)], as: UTF8.self)
}

private func nested(_ depth: Int) -> String {
    #"{"audience":{"user":"bob"},"title":"t","data":"# + String(repeating: "[", count: depth - 1)
        + String(repeating: "]", count: depth - 1) + "}"
}

/// Text that is nearly JSON, and JSON that is read in other clothes.
@Suite struct NearlyJSONTests {
    @Test(arguments: [
        (#"\ud83c"#, #"\ufffd"#), (#"\udf88"#, #"\ufffd"#), (#"\ud83c\ud83c\udf88"#, #"\ufffd\ud83c\udf88"#),
        (#"\uD83C\n"#, #"\ufffd\n"#), (#"\\ud83c \ud83c"#, #"\\ud83c \ufffd"#), (#"\udf88\ud83c\udf88"#, #"\ufffd\ud83c\udf88"#),
        (#"\ud83c\udf88"#, #"\ud83c\udf88"#),
    ]) func halfAPairBecomesAReplacementCharacter(_ written: String, _ read: String) throws {
        let data = #"{"audience":{"user":"bob"},"title":"Hi \#(written)"}"#
        #expect(try title(event(data)) == "\"Hi \(read)\"")
        #expect(try title(Array(data.utf8), binary) == "\"Hi \(read)\"")
        // It is text for everyone from here on.
        #expect(throws: Never.self) { try JSONDecoder().decode(String.self, from: Data(try title(event(data)).utf8)) }
    }

    @Test func whatIsNoJSONWithoutItStaysNone() {
        for broken in [#"{"audience":{"user":"bob"},"title":"\ud8"}"#, #"{"audience":{"user":"bob"},"title":"\ud83c"#] {
            #expect(throws: DeadLetter(.notJSON, "the value is not JSON")) { try CloudEvent.read(value: event(broken), headers: []) }
        }
        #expect(throws: DeadLetter(.notCloudEvents, "time must be RFC 3339, not a number")) {
            try CloudEvent.read(value: event(#"{"title":"\ud83c"}"#, more: #","time":7"#), headers: [])
        }
    }

    @Test func aByteOrderMarkIsSkipped() throws {
        let data = #"{"audience":{"user":"bob"},"title":"Hi"}"#
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        #expect(try title(mark + event(data)) == "\"Hi\"")
        #expect(try title(mark + Array(data.utf8), binary) == "\"Hi\"")
    }

    @Test func depthOverTheLimitIsCalledThat() throws {
        let limit = JSON.maximumDepth
        #expect(try title(event(nested(limit))) == "\"t\"")
        let fault = DeadLetter(.invalidData, "it is nested deeper than 63 levels")
        #expect(throws: fault) { try title(event(nested(limit + 1))) }
        #expect(throws: fault) { try title(Array(nested(limit + 1).utf8), binary) }
    }

    @Test func nullIsAbsentInEveryMemberThatMayBeAbsent() throws {
        let members = [
            "actor", "title", "body", "url", "target", "channel", "collapseKey", "template", "args", "priority", "ttlSeconds", "data",
        ]
        let nulls = members.map { "\"\($0)\":null" }.joined(separator: ",")
        let audience = #"{"user":"bob","users":null,"channel":null,"followersOf":null,"broadcast":null}"#
        let more = ["time", "partitionkey", "traceparent", "datacontenttype", "dataschema", "subject", "data_base64"]
            .map { ",\"\($0)\":null" }.joined()
        let event = try CloudEvent.read(value: event(#"{"audience":\#(audience),\#(nulls)}"#, more: more), headers: [])
        #expect(event.time == nil && event.partitionKey == nil && event.traceParent == nil)
        let data = try EventData.read(event)
        #expect(data.audience == .user(PersonID("bob")!) && data.actor == nil && data.priority == nil && data.ttlSeconds == nil)
        let texts = [data.title, data.body, data.url, data.target, data.channel, data.collapseKey, data.template, data.data]
        #expect(texts.allSatisfy { $0 == nil })
    }

    @Test func unknownMembersAreRemembered() throws {
        let many = (0..<20).map { "\"x\($0)\":\($0)" }.joined(separator: ",")
        let event = try CloudEvent.read(
            value: event(#"{"audience":{"user":"b","more":1},"nothing":null,"titel":"x","args":{},"template":"t",\#(many)}"#), headers: [])
        let data = try EventData.read(event)
        #expect(data.unknown.count == EventData.maximumUnknown)
        #expect(data.unknown.prefix(2).map { String(decoding: data.bytes[$0], as: UTF8.self) } == ["titel", "x0"])
    }

    @Test(arguments: ["", #","datacontenttype":"application/json""#, #","datacontenttype":"application/vnd.x+json""#])
    func dataInBase64AreData(_ type: String) throws {
        let data = #"{"audience":{"user":"bob"},"title":"Hi ü?","collapseKey":"k"}"#
        for pad in ["", " ", "  "] {
            let encoded = Data((data + pad).utf8).base64EncodedString()
            for text in [encoded, encoded.replacing("=", with: ""), encoded.replacing("/", with: "\\/")] {
                let value = #"{"data_base64":"\#(text)","specversion":"1.0","id":"1","source":"/s","type":"a.b"\#(type)}"#
                #expect(try title(Array(value.utf8)) == "\"Hi ü?\"")
            }
        }
    }

    @Test func dataInBase64ThatAreNone() {
        func fault(_ members: String) -> DeadLetter? {
            let value = #"{"specversion":"1.0","id":"1","source":"/s","type":"a.b",\#(members)}"#
            do throws(DeadLetter) {
                _ = try CloudEvent.read(value: Array(value.utf8), headers: [])
                return nil
            } catch { return error }
        }
        for bad in ["e30", "e30="] { #expect(fault("\"data_base64\":\"\(bad)\"") == nil) }
        for bad in ["e", "e30==", "e3_", "e31=", "==", "e30=e30="] {
            #expect(fault("\"data_base64\":\"\(bad)\"") == DeadLetter(.invalidData, "data_base64 must be Base64"), "\(bad)")
        }
        #expect(fault(#""data_base64":"AAA=""#)?.reason == .notJSON)
        #expect(fault(#""data_base64":"e30=","data":{}"#)?.detail == "data and data_base64 exclude each other")
        #expect(fault(#""data_base64":"e30=","datacontenttype":"application/avro""#)?.detail == "data_base64 must be JSON, not Avro")
        #expect(fault(#""data_base64":7"#)?.detail == "data_base64 must be text, not a number")
    }

    @Test(arguments: [
        "application/json", "text/json", "APPLICATION/JSON", "application/json\t;\tcharset=utf-8", " application/json ;a=b",
        "image/svg+json",
    ]) func theseAreJSON(_ type: String) { #expect(MediaType(type.utf8) == .json) }

    @Test(arguments: ["application/cloudevents+json", "Application/CloudEvents+JSON\t;\tcharset=UTF-8"])
    func theseAreEvents(_ type: String) { #expect(MediaType(type.utf8) == .event) }

    @Test(arguments: ["text/jsonp", "application/jsonx", "", "json"])
    func theseAreNeither(_ type: String) { #expect(MediaType(type.utf8) == .foreign("an unknown format")) }
}
