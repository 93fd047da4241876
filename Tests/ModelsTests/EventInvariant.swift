// What must hold of events for any bytes at all. Tests/Fuzz compiles this file too.
import Models

/// What is wrong with what is read of `input` in either mode of the Kafka binding, or nil. For binary mode it begins with lines
/// `name:value`, the headers, up to an empty line.
func faultOfEvents(_ input: [UInt8]) -> String? { faultOfStructured(input) ?? faultOfBinary(input) }

private typealias Headers = [(name: String, value: [UInt8])]

private func faultOfStructured(_ input: [UInt8]) -> String? {
    let event = read(input, [])
    let content: Headers = [("content-type", Array("application/cloudevents+json; charset=utf-8".utf8))]
    if meaning(read(input, content)) != meaning(event) { return "a content-type gives it another meaning" }
    guard let event else { return nil }
    if let fault = fault(of: event) { return fault }
    var headers: Headers = [
        ("ce_specversion", Array("1.0".utf8)), ("ce_id", Array(event.id.utf8)), ("ce_source", Array(event.source.utf8)),
        ("ce_type", Array(event.type.utf8)),
    ]
    if let key = event.partitionKey { headers.append(("ce_partitionkey", Array(key.utf8))) }
    if let trace = event.traceParent { headers.append(("traceparent", Array(trace.utf8))) }
    var timeless = meaning(event)
    timeless?.time = nil
    if meaning(read(Array(event.bytes[event.data]), headers)) != timeless { return "binary mode gives it another meaning" }
    return nil
}

private func faultOfBinary(_ input: [UInt8]) -> String? {
    var headers: Headers = []
    var rest = input[...]
    while let end = rest.firstIndex(of: 0x0A) {
        let line = rest[..<end]
        rest = rest[(end + 1)...]
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { break }
        headers.append((String(decoding: line[..<colon], as: UTF8.self), Array(line[(colon + 1)...])))
    }
    let event = read(Array(rest), headers)
    let more = [("unknown", [0xFF])] + headers + [("unknown", [])]
    if meaning(read(Array(rest), more)) != meaning(event) { return "a header that nobody knows gives it another meaning" }
    return event.flatMap(fault)
}

private func read(_ value: [UInt8], _ headers: Headers) -> CloudEvent? { try? CloudEvent.read(value: value, headers: headers) }

private struct Meaning: Equatable {
    var texts: [String?]
    var time: Int64?
    var data: [UInt8]
}

private func meaning(_ event: CloudEvent?) -> Meaning? {
    event.map {
        Meaning(
            texts: [$0.id, $0.source, $0.type, $0.partitionKey, $0.traceParent], time: $0.time, data: Array($0.bytes[$0.data]))
    }
}

private func fault(of event: CloudEvent) -> String? {
    for text in [event.id, event.source, event.type] where !(1...CloudEvent.maximumAttributeBytes).contains(text.utf8.count) {
        return "an attribute of \(text.utf8.count) bytes"
    }
    if let key = event.partitionKey, key.utf8.count > CloudEvent.maximumAttributeBytes { return "a partitionkey over its limit" }
    if let trace = event.traceParent, trace.utf8.count > CloudEvent.maximumTraceBytes { return "a traceparent over its limit" }
    let data = Array(event.bytes[event.data])
    guard (try? JSON.document(data.span)) == 0..<data.count else { return "its data are not one JSON value" }
    guard let form = try? EventData.read(event) else { return nil }
    let ranges = [form.title, form.body, form.url, form.target, form.channel, form.collapseKey, form.data, form.template]
    for range in ranges.compactMap({ $0 }) + form.unknown where !event.data.contains(range) {
        return "a member that stands outside its data"
    }
    return form.unknown.count > EventData.maximumUnknown ? "too many unknown members" : nil
}

extension Range<Int> {
    fileprivate func contains(_ other: Range<Int>) -> Bool { lowerBound <= other.lowerBound && other.upperBound <= upperBound }
}
