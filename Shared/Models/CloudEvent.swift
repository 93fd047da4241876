/// A CloudEvent (CloudEvents 1.0), read from a Kafka record in either mode of the Kafka protocol binding.
public struct CloudEvent: Sendable {
    public let id: String
    public let source: String
    public let type: String
    /// ms since 1970, if the event says when it happened.
    public let time: Int64?
    /// The extension attribute `partitionkey`. Events with the same one keep their order.
    public let partitionKey: String?
    /// The W3C trace context of the event, if it has one.
    public private(set) var traceParent: String?
    /// The bytes that `data` points into: those that the event was read from, or those that `data_base64` decodes to.
    public let bytes: [UInt8]
    /// Where the data of the event stand in `bytes`: one JSON value.
    public let data: Range<Int>

    /// The most bytes of UTF-8 that an `id`, a `source`, a `type` and a `partitionkey` may each have.
    public static let maximumAttributeBytes = 1024
    /// The longest `traceparent` that is kept, in bytes. A longer one is not valid (W3C Trace Context, section 3.2: 55 bytes in
    /// version 00) and is left out.
    public static let maximumTraceBytes = 128

    /// Reads a record's value by its `content-type`. A record with neither that nor any `ce_…` header is taken for structured
    /// mode, since that is what tools that write no headers can produce.
    public static func read(
        value: [UInt8], headers: [(name: String, value: [UInt8])]
    ) throws(DeadLetter) -> CloudEvent {
        var content: MediaType?
        var isBinary = false
        for header in headers {
            if header.name.hasPrefix("ce_") {
                isBinary = true
            } else if isNamed(header.name, "content-type") {
                content = MediaType(header.value)
            } else if isNamed(header.name, "content-encoding"), let encoding = MediaType.foreignEncoding(header.value) {
                throw DeadLetter(.notCloudEvents, "the content-encoding must be identity, not \(encoding)")
            }
        }
        switch content {
        case .event: return try structured(value, headers)
        case .foreignEvent(let format):
            throw DeadLetter(.notCloudEvents, "events in \(format) are not read: one event is application/cloudevents+json")
        case .foreign(let format) where isBinary: throw DeadLetter(.invalidData, "the data must be JSON, not \(format)")
        case .json where isBinary, nil where isBinary: return try binary(value, headers)
        case .json, .foreign:
            throw misnamed(headers) ?? DeadLetter(.notCloudEvents, "neither a structured content-type nor ce_ headers")
        case nil:
            do throws(DeadLetter) { return try structured(value, headers) } catch { throw misnamed(headers) ?? error }
        }
    }

    /// Reads structured mode: the JSON format of CloudEvents, section 3.
    public static func structured(_ value: [UInt8]) throws(DeadLetter) -> CloudEvent {
        if let event = try readAttributes(value) { return event }
        let mended = JSON.mended(value)
        if let mended, let event = try readAttributes(mended) { return event }
        throw DeadLetter.unreadable(mended ?? value) ?? DeadLetter(.notCloudEvents, "the event must be a JSON object")
    }

    private static func structured(
        _ value: [UInt8], _ headers: [(name: String, value: [UInt8])]
    ) throws(DeadLetter) -> CloudEvent {
        var event = try structured(value)
        // The header names the hop that brought the record, and the attribute the one that made the event. The header wins.
        if let trace = headers.first(where: { $0.name == "traceparent" }) {
            event.traceParent = Attributes.trace(String(validating: trace.value, as: UTF8.self)) ?? event.traceParent
        }
        return event
    }

    /// Nil if the value is not a JSON object.
    private static func readAttributes(_ value: [UInt8]) throws(DeadLetter) -> CloudEvent? {
        let bytes = value.span
        do {
            var at = 0
            let attributes = try Attributes(bytes, &at)
            try JSON.end(bytes, &at)
            return try attributes.event(value)
        } catch let error as DeadLetter {
            throw error
        } catch let misfit as Misfit {
            // If the whole is not JSON, that is the fault to report, and not the misfit.
            if DeadLetter.unreadable(value)?.reason == .notJSON { return nil }
            throw DeadLetter(.notCloudEvents, misfit.text)
        } catch {
            return nil
        }
    }

    private static func binary(
        _ value: [UInt8], _ headers: [(name: String, value: [UInt8])]
    ) throws(DeadLetter) -> CloudEvent {
        var attributes = Attributes()
        for header in headers {
            switch header.name {
            case "ce_specversion": attributes.version = try text(header)
            case "ce_id": attributes.id = try text(header)
            case "ce_source": attributes.source = try text(header)
            case "ce_type": attributes.type = try text(header)
            case "ce_time":
                attributes.time = Timestamp.read(try text(header))
                if attributes.time == nil { throw DeadLetter(.notCloudEvents, "time must be RFC 3339") }
            case "ce_partitionkey": attributes.partitionKey = try text(header)
            case "traceparent", "ce_traceparent": attributes.traceParent = String(validating: header.value, as: UTF8.self)
            default: continue
            }
        }
        if value.isEmpty { throw DeadLetter(.invalidData, "no data: the value is empty") }
        let (bytes, data) = try document(value)
        return try attributes.event(bytes, data)
    }

    private static func text(_ header: (name: String, value: [UInt8])) throws(DeadLetter) -> String {
        guard let text = String(validating: header.value, as: UTF8.self) else {
            throw DeadLetter(.notCloudEvents, "\(header.name) is not UTF-8")
        }
        return text
    }

    /// Reads data as JSON. Text that is nearly JSON is mended first (`JSON.mended`).
    fileprivate static func document(_ value: [UInt8]) throws(DeadLetter) -> (bytes: [UInt8], data: Range<Int>) {
        if let data = try? JSON.document(value.span) { return (value, data) }
        let mended = JSON.mended(value)
        if let mended, let data = try? JSON.document(mended.span) { return (mended, data) }
        throw DeadLetter.unreadable(mended ?? value) ?? DeadLetter(.notJSON, "the data are not JSON")
    }

    /// The fault of headers that look like attributes under another name, such as `ce-id` in Kafka. Nil if there is none.
    private static func misnamed(_ headers: [(name: String, value: [UInt8])]) -> DeadLetter? {
        for header in headers {
            let name = header.name.lowercased()
            if name.hasPrefix("ce-") { return DeadLetter(.notCloudEvents, "ce- headers are those of HTTP: in Kafka they must be ce_") }
            if name.hasPrefix("ce_") { return DeadLetter(.notCloudEvents, "ce_ headers must be in lower case") }
        }
        return nil
    }

    /// Compares the name of a header without regard to case, because bridges from HTTP write it in any case.
    private static func isNamed(_ name: String, _ wanted: StaticString) -> Bool {
        guard name.utf8.count == wanted.utf8CodeUnitCount else { return false }
        return name.lowercased() == wanted.description
    }
}

/// The attributes of an event as they were read. `event` checks that none is missing.
private struct Attributes {
    var version: String?
    var id: String?
    var source: String?
    var type: String?
    var time: Int64?
    var partitionKey: String?
    var traceParent: String?
    var data: Range<Int>?
    /// The values of `datacontenttype` and `data_base64`, which count only for an event without `data`.
    var dataType: JSONString?
    var base64: JSONString?

    init() {}

    init(_ bytes: Span<UInt8>, _ at: inout Int) throws {
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .specVersion: version = try Self.text(bytes, &at, "specversion")
            case .id: id = try Self.text(bytes, &at, "id")
            case .source: source = try Self.text(bytes, &at, "source")
            case .type: type = try Self.text(bytes, &at, "type")
            case .time:
                guard let string = try Form.text(bytes, &at, "time", must: "RFC 3339") else { continue }
                time =
                    string.isEscaped
                    ? Timestamp.read(JSON.text(bytes, string)) : Timestamp.read(bytes.extracting(string.contents))
                if time == nil { throw Misfit("time", "must be RFC 3339") }
            case .partitionKey: partitionKey = try Self.text(bytes, &at, "partitionkey")
            case .traceParent: traceParent = try Self.text(bytes, &at, "traceparent")
            case .data: data = try Form.isAbsent(bytes, &at) ? nil : JSON.value(bytes, &at)
            case .dataType: dataType = try Form.text(bytes, &at, "datacontenttype")
            case .base64: base64 = try Form.text(bytes, &at, "data_base64")
            default: _ = try JSON.value(bytes, &at)
            }
        }
    }

    private static func text(_ bytes: Span<UInt8>, _ at: inout Int, _ member: String) throws -> String? {
        try Form.text(bytes, &at, member).map { JSON.text(bytes, $0) }
    }

    static func trace(_ text: String?) -> String? {
        text.flatMap { $0.utf8.count <= CloudEvent.maximumTraceBytes ? $0 : nil }
    }

    /// Makes the event of structured mode. Its data stand in the bytes of the value, or there in Base64.
    func event(_ value: [UInt8]) throws(DeadLetter) -> CloudEvent {
        guard let base64 else { return try event(value, data) }
        if data != nil { throw DeadLetter(.notCloudEvents, "data and data_base64 exclude each other") }
        if let dataType, case .foreign(let format) = MediaType(JSON.text(value.span, dataType).utf8) {
            throw DeadLetter(.invalidData, "data_base64 must be JSON, not \(format)")
        }
        guard let text = JSON.base64(value.span, base64) else { throw DeadLetter(.invalidData, "data_base64 must be Base64") }
        let (bytes, data) = try CloudEvent.document(text)
        return try event(bytes, data)
    }

    func event(_ bytes: [UInt8], _ data: Range<Int>?) throws(DeadLetter) -> CloudEvent {
        guard let version else { throw DeadLetter(.notCloudEvents, "specversion is missing") }
        guard version == "1.0" else { throw DeadLetter(.notCloudEvents, "specversion must be 1.0") }
        let (id, source, type) = (try needed(id, "id"), try needed(source, "source"), try needed(type, "type"))
        if let partitionKey { try bound(partitionKey, "partitionkey") }
        guard let data else { throw DeadLetter(.invalidData, "no data") }
        return CloudEvent(
            id: id, source: source, type: type, time: time, partitionKey: partitionKey,
            traceParent: Self.trace(traceParent), bytes: bytes, data: data)
    }

    private func needed(_ value: String?, _ name: String) throws(DeadLetter) -> String {
        guard let value else { throw DeadLetter(.notCloudEvents, "\(name) is missing") }
        guard !value.isEmpty else { throw DeadLetter(.notCloudEvents, "\(name) must not be empty") }
        try bound(value, name)
        return value
    }

    private func bound(_ value: String, _ name: String) throws(DeadLetter) {
        guard value.utf8.count <= CloudEvent.maximumAttributeBytes else {
            throw DeadLetter(.notCloudEvents, "\(name) is longer than \(CloudEvent.maximumAttributeBytes) bytes")
        }
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
    static let dataType = JSONKey("datacontenttype")
    static let base64 = JSONKey("data_base64")
}
