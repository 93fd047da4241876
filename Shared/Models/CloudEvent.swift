/// A CloudEvent (CloudEvents 1.0), read from a Kafka record in either mode of the Kafka protocol binding.
public struct CloudEvent: Sendable {
    public let id: String
    public let source: String
    public let type: String
    /// ms since 1970, if the event says when it happened.
    public let time: Int64?
    /// The extension attribute of that name: what orders the event.
    public let partitionKey: String?
    /// W3C trace context.
    public private(set) var traceParent: String?
    /// The bytes that the event was read from.
    public let bytes: [UInt8]
    /// Where its data stand in `bytes`: one JSON value.
    public let data: Range<Int>

    /// Reads a record's value by its `content-type`. A record with neither that nor any `ce_…` header is taken for structured
    /// mode, since that is what tools that write no headers can produce.
    public static func read(
        value: [UInt8], headers: [(name: String, value: [UInt8])]
    ) throws(DeadLetter) -> CloudEvent {
        var contentType: String?
        var isBinary = false
        for header in headers {
            if header.name.hasPrefix("ce_") {
                isBinary = true
            } else if header.name.lowercased() == "content-type" {
                contentType = mediaType(header.value)
            }
        }
        if contentType == "application/cloudevents+json" || contentType == nil && !isBinary {
            var event = try structured(value)
            // The record's own header is of the hop that brought it, the attribute of the one that made it.
            if let trace = headers.first(where: { $0.name == "traceparent" }) {
                event.traceParent = String(validating: trace.value, as: UTF8.self) ?? event.traceParent
            }
            return event
        }
        guard isBinary else {
            throw DeadLetter(.notCloudEvents, "neither a structured content-type nor ce_ headers")
        }
        if let contentType, contentType != "application/json", !contentType.hasSuffix("+json") {
            throw DeadLetter(.invalidData, "the content-type of the data is not JSON")
        }
        return try binary(value, headers)
    }

    /// Reads structured mode: the JSON format of CloudEvents, section 3.
    public static func structured(_ value: [UInt8]) throws(DeadLetter) -> CloudEvent {
        let bytes = value.span
        do {
            var at = 0
            let attributes = try readAttributes(bytes, &at)
            try JSON.end(bytes, &at)
            return try attributes.event(value)
        } catch let error as DeadLetter {
            throw error
        } catch {
            // A misfit is only an event's misfit if the whole is JSON at all.
            guard (try? JSON.document(bytes)) != nil else { throw DeadLetter(.notJSON, "the value is not JSON") }
            throw DeadLetter(.notCloudEvents, "an attribute is missing or of the wrong type")
        }
    }

    private static func readAttributes(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Attributes {
        var attributes = Attributes()
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .specVersion: attributes.version = JSON.text(bytes, try JSON.string(bytes, &at))
            case .id: attributes.id = JSON.text(bytes, try JSON.string(bytes, &at))
            case .source: attributes.source = JSON.text(bytes, try JSON.string(bytes, &at))
            case .type: attributes.type = JSON.text(bytes, try JSON.string(bytes, &at))
            case .time:
                guard let string = try JSON.optionalString(bytes, &at) else { continue }
                attributes.setTime(JSON.text(bytes, string))
            case .partitionKey: attributes.partitionKey = try JSON.optionalString(bytes, &at).map { JSON.text(bytes, $0) }
            case .traceParent: attributes.traceParent = try JSON.optionalString(bytes, &at).map { JSON.text(bytes, $0) }
            case .data: attributes.data = try JSON.value(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        return attributes
    }

    private static func binary(
        _ value: [UInt8], _ headers: [(name: String, value: [UInt8])]
    ) throws(DeadLetter) -> CloudEvent {
        var attributes = Attributes()
        for header in headers {
            guard header.name == "traceparent" || header.name.hasPrefix("ce_") else { continue }
            guard let text = String(validating: header.value, as: UTF8.self) else {
                throw DeadLetter(.notCloudEvents, "a header is not UTF-8")
            }
            switch header.name {
            case "ce_specversion": attributes.version = text
            case "ce_id": attributes.id = text
            case "ce_source": attributes.source = text
            case "ce_type": attributes.type = text
            case "ce_time": attributes.setTime(text)
            case "ce_partitionkey": attributes.partitionKey = text
            case "traceparent", "ce_traceparent": attributes.traceParent = text
            default: continue
            }
        }
        guard let data = try? JSON.document(value.span) else { throw DeadLetter(.notJSON, "the data are not JSON") }
        attributes.data = data
        return try attributes.event(value)
    }

    private static func mediaType(_ value: [UInt8]) -> String {
        let text = String(decoding: value.prefix { $0 != UInt8(ascii: ";") }, as: UTF8.self).lowercased()
        return text.split(separator: " ").joined()
    }
}

/// What an event said of itself, before it is known to be enough.
private struct Attributes {
    var version: String?
    var id: String?
    var source: String?
    var type: String?
    var time: Int64?
    var timeIsMalformed = false
    var partitionKey: String?
    var traceParent: String?
    var data: Range<Int>?

    mutating func setTime(_ text: String) {
        time = Timestamp.read(text)
        timeIsMalformed = time == nil
    }

    func event(_ bytes: [UInt8]) throws(DeadLetter) -> CloudEvent {
        guard version == "1.0" else { throw DeadLetter(.notCloudEvents, "specversion is not 1.0") }
        guard let id, !id.isEmpty else { throw DeadLetter(.notCloudEvents, "no id") }
        guard let source, !source.isEmpty else { throw DeadLetter(.notCloudEvents, "no source") }
        guard let type, !type.isEmpty else { throw DeadLetter(.notCloudEvents, "no type") }
        guard !timeIsMalformed else { throw DeadLetter(.notCloudEvents, "time is not an RFC 3339 time") }
        guard let data else { throw DeadLetter(.invalidData, "no data") }
        return CloudEvent(
            id: id, source: source, type: type, time: time, partitionKey: partitionKey, traceParent: traceParent,
            bytes: bytes, data: data)
    }
}

extension JSONKey {
    static let specVersion = JSONKey("specversion")
    static let id = JSONKey("id")
    static let source = JSONKey("source")
    static let type = JSONKey("type")
    static let time = JSONKey("time")
    static let partitionKey = JSONKey("partitionkey")
    static let traceParent = JSONKey("traceparent")
    static let data = JSONKey("data")
}
