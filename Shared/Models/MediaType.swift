/// What the `content-type` of a record or a request says of its content (CloudEvents 1.0.2, bindings of Kafka and HTTP, section 3).
public enum MediaType: Equatable, Sendable {
    /// One event in the JSON format: structured mode.
    case event
    /// JSON of any kind. In binary mode it is the data.
    case json
    /// Events in a format that is not read. The name of the format is ours and not the sender's.
    case foreignEvent(String)
    /// Anything else. The name of the format is ours and not the sender's.
    case foreign(String)

    /// Reads the value of a `content-type` field. Case does not matter, and neither does what follows the first semicolon.
    public init(_ value: some Collection<UInt8>) {
        var name = value.prefix { $0 != UInt8(ascii: ";") }.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }
        name.removeAll { $0 == 0x20 || $0 == 0x09 }
        self =
            name == Self.eventName ? .event : Self.isJSON(name) ? .json : Self.named(String(decoding: name, as: UTF8.self))
    }

    private static let eventName = Array("application/cloudevents+json".utf8)
    private static let jsonNames = [Array("application/json".utf8), Array("text/json".utf8)]
    private static let jsonSuffix = Array("+json".utf8)

    private static func isJSON(_ name: [UInt8]) -> Bool {
        if jsonNames.contains(name) { return true }
        return name.suffix(jsonSuffix.count).elementsEqual(jsonSuffix) && !name.starts(with: "application/cloudevents".utf8)
    }

    private static func named(_ name: String) -> MediaType {
        let format =
            if name.contains("avro") { "Avro" } else if name.contains("protobuf") {
                "Protobuf"
            } else if name.hasSuffix("/xml") || name.hasSuffix("+xml") {
                "XML"
            } else if name.hasPrefix("application/cloudevents-batch") {
                "a batch"
            } else if name == "text/plain" {
                "plain text"
            } else if name == "application/x-www-form-urlencoded" || name == "multipart/form-data" {
                "a form"
            } else { "an unknown format" }
        return name.hasPrefix("application/cloudevents") ? .foreignEvent(format) : .foreign(format)
    }

    /// Our name for a `content-encoding` that is not supported; nil for one that changes nothing.
    public static func foreignEncoding(_ value: some Collection<UInt8>) -> String? {
        let name = String(decoding: value.filter { $0 != 0x20 && $0 != 0x09 }, as: UTF8.self).lowercased()
        if name.isEmpty || name == "identity" { return nil }
        return ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "snappy", "lz4"].contains(name) ? name : "an unknown encoding"
    }
}
