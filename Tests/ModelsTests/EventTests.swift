import Foundation
import Models
import Testing

private let structured = """
    {"specversion":"1.0","id":"7","source":"/posts","type":"social.like","time":"2026-11-21T11:44:39Z",
     "partitionkey":"post:9","traceparent":"00-x","extra":{"a":[1]},"data":{"audience":{"user":"bob"},"title":"Hi \\u00e9"}}
    """

private func headers(_ pairs: [String: String]) -> [(name: String, value: [UInt8])] {
    pairs.map { ($0.key, Array($0.value.utf8)) }
}

private func reason(_ value: String, _ pairs: [String: String] = [:]) -> DeadLetterReason? {
    do {
        _ = try EventData.read(try CloudEvent.read(value: Array(value.utf8), headers: headers(pairs)))
        return nil
    } catch { return error.reason }
}

private func reason(data: String) -> DeadLetterReason? {
    reason(#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":"# + data + "}")
}

@Suite struct EventTests {
    @Test(arguments: [
        [:], ["content-type": "application/cloudevents+json; charset=UTF-8"], ["Content-Type": "application/cloudevents+json"],
    ])
    func readsStructuredMode(_ pairs: [String: String]) throws {
        let event = try CloudEvent.read(value: Array(structured.utf8), headers: headers(pairs))
        #expect(event.id == "7" && event.source == "/posts" && event.type == "social.like")
        #expect(event.time == 1_795_261_479_000)
        #expect(event.partitionKey == "post:9" && event.traceParent == "00-x")
        let data = try EventData.read(event)
        #expect(data.audience == .user(PersonID("bob")!))
        #expect(data.title.map { String(decoding: data.bytes[$0], as: UTF8.self) } == #""Hi \u00e9""#)
    }

    @Test func takesTheTraceOfTheRecordBeforeTheEvents() throws {
        let event = try CloudEvent.read(value: Array(structured.utf8), headers: headers(["traceparent": "00-z"]))
        #expect(event.traceParent == "00-z")
    }

    @Test func readsBinaryMode() throws {
        let event = try CloudEvent.read(
            value: Array(#"{"audience":{"channel":"general"},"actor":"alice"}"#.utf8),
            headers: headers([
                "ce_specversion": "1.0", "ce_id": "7", "ce_source": "/posts", "ce_type": "social.like", "traceparent": "00-y",
                "content-type": "application/json",
            ]))
        #expect(event.id == "7" && event.time == nil && event.traceParent == "00-y")
        let data = try EventData.read(event)
        #expect(data.audience == .channel(ChannelID("general")!) && data.actor == PersonID("alice"))
    }

    @Test func namesWhatIsWrong() {
        #expect(reason("nonsense") == .notJSON)
        #expect(reason("") == .notJSON)
        #expect(reason("{}") == .notCloudEvents)
        #expect(reason("[]") == .notCloudEvents)
        #expect(reason(structured.replacing("\"1.0\"", with: "\"0.3\"")) == .notCloudEvents)
        #expect(reason(structured.replacing("\"7\"", with: "7")) == .notCloudEvents)
        #expect(reason(structured.replacing("\"7\"", with: "\"\"")) == .notCloudEvents)
        #expect(reason(structured.replacing("T11", with: " 11")) == .notCloudEvents)
        #expect(reason(structured.replacing("\"7\"", with: "7") + "{") == .notJSON)
        #expect(reason(structured, ["content-type": "text/plain"]) == .notCloudEvents)
        #expect(reason(structured, ["ce_id": "1"]) == .notCloudEvents)
        let binary = ["ce_specversion": "1.0", "ce_id": "7", "ce_source": "/posts", "ce_type": "social.like"]
        #expect(reason("nonsense", binary) == .notJSON)
        #expect(reason(#"{"audience":{"user":"bob"}}"#, binary) == nil)
        #expect(reason("{}", binary.merging(["content-type": "text/plain"]) { $1 }) == .invalidData)
    }

    @Test(arguments: [
        "5", "{}", #"{"audience":"bob"}"#, #"{"audience":{}}"#, #"{"audience":{"user":""}}"#, #"{"audience":{"user":"a{"}}"#,
        #"{"audience":{"user":"a","channel":"b"}}"#, #"{"audience":{"users":[]}}"#, #"{"audience":{"broadcast":false}}"#,
        #"{"audience":{"user":"a"},"title":5}"#, #"{"audience":{"user":"a"},"priority":"urgent"}"#,
        #"{"audience":{"user":"a"},"ttlSeconds":0}"#, #"{"audience":{"user":"a"},"ttlSeconds":1.5}"#,
        #"{"audience":{"user":"a"},"actor":{"name":"x"}}"#, #"{"audience":{"user":"a"},"actor":7}"#,
    ]) func refusesData(_ data: String) { #expect(reason(data: data) == .invalidData) }

    @Test(arguments: [
        #"{"audience":{"user":"a"}}"#, #"{"audience":{"users":["a","b"]},"title":null,"actor":null,"priority":null,"ttlSeconds":null}"#,
        #"{"audience":{"followersOf":"a"}}"#, #"{"audience":{"broadcast":true}}"#, #"{"audience":{"user":"\u0061"},"unknown":[{}]}"#,
    ]) func takesData(_ data: String) { #expect(reason(data: data) == nil) }

    @Test func boundsUsers() {
        func users(_ count: Int) -> String { "[" + (0..<count).map { "\"u\($0)\"" }.joined(separator: ",") + "]" }
        #expect(reason(data: "{\"audience\":{\"users\":\(users(1000))}}") == nil)
        #expect(reason(data: "{\"audience\":{\"users\":\(users(1001))}}") == .invalidData)
    }

    @Test func deadLettersSayWhereTheyCameFrom() {
        let headers = DeadLetter(.notJSON, "the value is not JSON").headers(
            original: [("ce_id", [1]), ("null", nil), ("dlq-reason", [2])],
            origin: RecordOrigin(topic: "events.a", partition: 3, offset: 9), attempts: 1, at: 1000)
        #expect(
            headers.map(\.name) == [
                "ce_id", "null", "dlq-reason", "dlq-detail", "dlq-topic", "dlq-partition", "dlq-offset", "dlq-attempts", "dlq-at",
            ])
        #expect(headers[1].value == nil)
        #expect(
            headers.dropFirst(2).map { String(decoding: $0.value ?? [], as: UTF8.self) } == [
                "not_json", "the value is not JSON", "events.a", "3", "9", "1", "1000",
            ])
    }

    @Test func policiesMatchTheExactNameFirstThenTheLongestPattern() {
        func policy(_ category: String) -> Policy { Policy(category: category, priority: .normal, channels: .inApp, ttlSeconds: 1) }
        var table = PolicyTable()
        #expect(table.isEmpty && table.policy(for: "a") == nil)
        table.add("social.*", policy("pattern"))
        table.add("social.like", policy("exact"))
        table.add("social.group.*", policy("longer"))
        #expect(table.policy(for: "social.like")?.category == "exact")
        #expect(table.policy(for: "social.mention")?.category == "pattern")
        #expect(table.policy(for: "social.group.post")?.category == "longer")
        #expect(table.policy(for: "social") == nil)
        #expect(table.policy(for: "other.x") == nil)
        table.add("*", policy("all"))
        #expect(table.policy(for: "social")?.category == "all")
    }
}
