import Foundation
import HTTP
import Kafka
import Models
import Testing

@testable import NotificationService

private let data = #"{"audience":{"user":"bob"},"title":"Hi"}"#

private func request(_ headers: [(String, String)], body: String = data) -> HTTPRequest {
    HTTPRequest(method: "POST", path: "/v1/events", headers: headers, body: Array(body.utf8))
}

private func binary(_ more: [(String, String)] = [("Content-Type", "application/json")]) -> [(String, String)] {
    let attributes = [("ce-specversion", "1.0"), ("Ce-Id", "1"), ("ce-source", "/s"), ("ce-type", "social.mention")]
    return attributes.filter { one in !more.contains { $0.0.lowercased() == one.0.lowercased() } } + more
}

private func problem(_ request: HTTPRequest) throws -> (status: Int, name: String, detail: String) {
    do {
        _ = try EventRequest(request)
        return (0, "", "")
    } catch {
        let document = try #require(try JSONSerialization.jsonObject(with: Data(error.response.body)) as? [String: Any])
        let name = (document["type"] as? String)?.split(separator: "#").last
        return (error.response.status, name.map(String.init) ?? "", document["detail"] as? String ?? "")
    }
}

private func check(_ request: HTTPRequest) throws -> CheckedEvent {
    try makeTranslation().check(value: request.body, headers: try EventRequest(request).headers, now: now)
}

/// CloudEvents' HTTP binding, as it becomes a record of Kafka's.
@Suite struct EventRequestTests {
    @Test(arguments: [
        ("/my%20source", "/my source"), ("caf%C3%A9", "café"), ("100%25", "100%"), ("%2541", "%41"), ("a+b", "a+b"),
        (#""quoted \"and\" \\escaped""#, #"quoted "and" \escaped"#), (#""/my%20source""#, "/my source"), ("café", "café"),
        ("%F0%9F%8E%88", "🎈"),
    ]) func headersAreUnquotedAndPercentDecodedOnce(_ sent: String, _ meant: String) throws {
        let record = try EventRequest(request(binary([("ce-source", sent)])))
        #expect(record.headers.first { $0.name == "ce_source" } == KafkaHeader("ce_source", meant))
    }

    /// Two events whose ids differ in bytes that are no text must not become one.
    @Test func bytesThatAreNoTextAreRefused() {
        for id in [[0x63, 0x61, 0x66, 0xE9], [0x63, 0x61, 0x66, 0xE8]] as [[UInt8]] {
            #expect(EventRequest.attributeValue(id) == nil)
        }
        for id in ["caf%E9", "caf%E8", "50%", "50%-off", "%zz", "\"open", "\"a\"b\"", "\"a\\"] {
            #expect(throws: EventRequest.Refusal.self, "\(id)") { try EventRequest(request(binary([("ce-id", id)]))) }
        }
        #expect(throws: EventRequest.Refusal.self) { try EventRequest(request(binary() + [("CE-ID", "2")])) }
    }

    @Test func refusalsNameTheHeader() throws {
        let broken = try problem(request(binary([("ce-id", "50%")])))
        #expect(broken.status == 400 && broken.name == "not_cloudevents" && broken.detail.hasPrefix("ce-id must be UTF-8, percent-encoded"))
        let twice = try problem(request(binary() + [("ce-id", "2")]))
        #expect(twice.status == 400 && twice.detail == "ce-id stands twice.")
    }

    /// What the official SDKs send in the two modes is one event.
    @Test func bothModesMakeOneNotification() throws {
        let structured = #"{"specversion":"1.0","id":"ü 1","source":"/my source","type":"social.mention","data":\#(data)}"#
        let one = try check(
            request(binary([("ce-source", "/my%20source"), ("ce-id", "%C3%BC%201"), ("content-type", "application/json")])))
        let other = try check(request([("content-type", "application/cloudevents+json")], body: structured))
        #expect(one == other)
        #expect(one.topic == "events.social" && one.key == "bob" && one.warnings == [])
    }

    @Test(arguments: [
        "application/json", "text/json", "application/vnd.shop+json", "application/json\t;\tcharset=utf-8", "APPLICATION/JSON",
    ])
    func anyJSONIsDataAndIsWrittenAsWhatEveryVersionReads(_ type: String) throws {
        let record = try EventRequest(request(binary([("content-type", type)])))
        #expect(record.headers.last == KafkaHeader("content-type", "application/json"))
        #expect(try check(request(binary([("content-type", type)]))).key == "bob")
    }

    @Test(arguments: [
        "application/cloudevents+avro", "application/cloudevents+protobuf", "application/cloudevents+xml",
        "application/cloudevents-batch+json", "application/avro", "application/xml", "application/x-protobuf", "application/octet-stream",
    ]) func anotherFormatIs415(_ type: String) throws {
        for headers in [[("content-type", type)], binary([("content-type", type)])] {
            let (status, name, _) = try problem(request(headers))
            #expect(status == 415 && name == "unsupported_media_type")
        }
    }

    @Test func aFormIsOnlyGuessedWithoutAttributes() throws {
        let form = [("content-type", "application/x-www-form-urlencoded")]
        #expect(try EventRequest(request(form)).headers.isEmpty)
        #expect(try problem(request(binary(form))).status == 415)
        #expect(try EventRequest(request([])).headers.isEmpty)
    }

    @Test func compressedContentIs415() throws {
        for encoding in ["gzip", "br", "something"] {
            let (status, name, detail) = try problem(request(binary() + [("Content-Encoding", encoding)]))
            #expect(status == 415 && name == "unsupported_media_type")
            #expect(detail == "The content-encoding must be identity, not \(encoding == "something" ? "an unknown encoding" : encoding).")
        }
        #expect(try problem(request(binary() + [("Content-Encoding", "identity")])).status == 0)
    }

    @Test func theAnswerHoldsTheNotificationsIDAndWarnings() throws {
        let plain = try check(request(binary()))
        let (_, outputs) = try run(
            record(#"{"specversion":"1.0","id":"1","source":"/s","type":"social.mention","data":\#(data)}"#))
        let written = try #require(outputs.first)
        let fields = try #require(try JSONSerialization.jsonObject(with: Data(written.value)) as? [String: Any])
        let notification = try #require(fields["notification"] as? [String: Any])
        #expect(String(decoding: plain.answer, as: UTF8.self) == #"{"id":"\#(notification["id"] ?? "")","warnings":[]}"#)

        let more = #"{"audience":{"user":"bob"},"titel":"Hi","ti\"tel":1,"template":"t"}"#
        let warned = try check(request(binary(), body: more))
        let answer = try #require(try JSONSerialization.jsonObject(with: Data(warned.answer)) as? [String: Any])
        #expect(
            answer["warnings"] as? [String] == [
                "data.titel is not a member of events: no client gets it", #"data.ti\"tel is not a member of events: no client gets it"#,
                "data.template is not rendered yet: clients get title and body alone",
            ])
        let long = #"{"audience":{"user":"bob"},"actor":"bob","title":"t","\#(String(repeating: "é", count: 99))":1}"#
        let warnings = try check(request(binary(), body: long)).warnings
        #expect(warnings.first?.utf8.count ?? 0 < 200)
        #expect(warnings.last == "the audience names nobody but the actor: nobody is notified")
        let late = [("ce-time", Timestamp.text(now - 2 * 3_600_000))]
        #expect(try check(request(binary(late))).warnings == ["the event is past its time to live: nobody is notified"])
    }
}
