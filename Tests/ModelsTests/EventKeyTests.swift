import Models
import Testing

@Suite struct EventKeyTests {
    private func key(_ data: String, partitionKey: String? = nil) throws -> String {
        let extra = partitionKey.map { ",\"partitionkey\":\"\($0)\"" } ?? ""
        let text = #"{"specversion":"1.0","id":"e1","source":"/s","type":"a.b","data":\#(data)\#(extra)}"#
        let event = try CloudEvent.structured(Array(text.utf8))
        return event.recordKey(for: try EventData.read(event).audience)
    }

    @Test func partitionKeyThenPersonThenAudienceThenEvent() throws {
        #expect(try key(#"{"audience":{"user":"bob"}}"#, partitionKey: "conversation-7") == "conversation-7")
        #expect(try key(#"{"audience":{"user":"bob"}}"#) == "bob")
        #expect(try key(#"{"audience":{"channel":"general"}}"#) == "channel:general")
        #expect(try key(#"{"audience":{"users":["bob","carol"]}}"#) == "e1")
    }
}
