import HTTP
import Kafka
import Models

/// The headers of the record that a request with an event becomes. Reads the HTTP binding of CloudEvents (1.0.2) and writes the
/// Kafka binding.
struct EventRequest {
    let headers: [KafkaHeader]

    /// Why a request brings no event, as far as its headers tell.
    struct Refusal: Error {
        let response: HTTPResponse
    }

    init(_ request: HTTPRequest) throws(Refusal) {
        if let encoding = request.header("content-encoding").flatMap({ MediaType.foreignEncoding($0.utf8) }) {
            throw Self.unsupported("The content-encoding must be identity, not \(encoding).", ("Accept-Encoding", "identity"))
        }
        let attributes = request.headerBytes(prefixed: "ce-")
        let content = request.header("content-type").map { MediaType($0.utf8) }
        var headers: [KafkaHeader]
        switch content {
        case .event: headers = [KafkaHeader("content-type", "application/cloudevents+json")]
        case .foreignEvent(let format):
            throw Self.unsupported("Events in \(format) are not read: one event is application/cloudevents+json.", Self.accepted)
        case .json, nil:
            headers = try Self.recordHeaders(attributes)
            if !headers.isEmpty, content != nil { headers.append(KafkaHeader("content-type", "application/json")) }
        // What `curl --data` says of anything; without attributes in headers the content is looked at.
        case .foreign("a form") where attributes.isEmpty, .foreign("plain text") where attributes.isEmpty: headers = []
        case .foreign(let format): throw Self.unsupported("The content must be JSON, not \(format).", Self.accepted)
        }
        if let trace = request.header("traceparent") { headers.append(KafkaHeader("traceparent", trace)) }
        self.headers = headers
    }

    private static let accepted = ("Accept", "application/cloudevents+json, application/json")

    private static func unsupported(_ detail: String, _ header: (String, String)) -> Refusal {
        Refusal(
            response: .problem(
                status: 415, name: "unsupported_media_type", detail: detail, headers: [(name: header.0, value: header.1)]))
    }

    /// `ce-id` over HTTP is `ce_id` in Kafka, where a value is plain UTF-8.
    private static func recordHeaders(_ attributes: [(name: String, value: [UInt8])]) throws(Refusal) -> [KafkaHeader] {
        var headers: [KafkaHeader] = []
        var names: Set<String> = []
        for (name, bytes) in attributes {
            guard names.insert(name).inserted else { throw malformed("\(name) stands twice.") }
            guard let value = attributeValue(bytes) else {
                throw malformed("\(name) must be UTF-8, percent-encoded (CloudEvents HTTP binding, 3.1.3.2); a percent sign is %25.")
            }
            headers.append(KafkaHeader("ce_" + name.dropFirst(3), value))
        }
        return headers
    }

    private static func malformed(_ detail: String) -> Refusal {
        Refusal(response: .problem(status: 400, name: DeadLetterReason.notCloudEvents.rawValue, detail: detail))
    }

    /// Removes quotes, then decodes percent-encoding once (section 3.1.3.2); nil if the result is not UTF-8.
    static func attributeValue(_ bytes: [UInt8]) -> String? {
        guard bytes.first == UInt8(ascii: "\"") else { return PercentCoding.decode(bytes) }
        var text: [UInt8] = []
        var index = 1
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""): return index == bytes.count - 1 ? PercentCoding.decode(text) : nil
            case UInt8(ascii: "\\"):
                index += 1
                guard index < bytes.count else { return nil }
                text.append(bytes[index])
            case let byte: text.append(byte)
            }
            index += 1
        }
        return nil
    }
}
