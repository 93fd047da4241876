/// One complete request. Fields are kept as the bytes that arrived and are read when asked for.
public struct HTTPRequest: Sendable {
    /// Case-sensitive, as sent (RFC 9110 section 9.1).
    public var method: String
    /// The path as sent, percent-encoded, without the query; begins with `/`, or is `*`.
    public var path: String
    /// The query as sent, without `?`; empty if there is none.
    public var rawQuery: String
    /// The minor version of HTTP/1: 0 or 1.
    public var minorVersion: Int
    /// The content, with its transfer coding removed.
    public var body: [UInt8]
    var fields: HTTPFields

    /// A request made by hand, for tests of handlers.
    public init(
        method: String = "GET", path: String, query: String = "", headers: [(String, String)] = [], body: [UInt8] = []
    ) {
        self.method = method
        self.path = path
        self.rawQuery = query
        self.minorVersion = 1
        self.body = body
        self.fields = HTTPFields()
        for (name, value) in headers { fields.append(name: Array(name.utf8), value: Array(value.utf8)) }
    }

    init(line: RequestLine, fields: HTTPFields, body: [UInt8]) {
        method = line.method
        path = line.path
        rawQuery = line.query
        minorVersion = line.minorVersion
        self.fields = fields
        self.body = body
    }

    /// The value of the first field of this name, in any case of letters; nil if there is none.
    public func header(_ name: StaticString) -> String? {
        fields.first(name).map { String(decoding: fields.value($0), as: UTF8.self) }
    }

    /// The comma-separated members of all fields of this name, trimmed, lower case (RFC 9110 section 5.6.1).
    public func tokens(_ name: StaticString) -> [String] {
        fields.tokens(name)
    }

    /// All fields whose name begins so, in any case of letters; names in lower case.
    public func headers(prefixed prefix: StaticString) -> [(name: String, value: String)] {
        headerBytes(prefixed: prefix).map { ($0.name, String(decoding: $0.value, as: UTF8.self)) }
    }

    /// As `headers(prefixed:)`, but with the bytes of each value, for callers that must refuse what is not UTF-8.
    public func headerBytes(prefixed prefix: StaticString) -> [(name: String, value: [UInt8])] {
        let prefix = prefix.description
        return (0..<fields.count).compactMap { index in
            let name = String(decoding: fields.name(index).map(lowercase), as: UTF8.self)
            return name.hasPrefix(prefix) ? (name, Array(fields.value(index))) : nil
        }
    }

    /// Whether the connection may carry another request after this one (RFC 9112 section 9.3).
    public var keepsAlive: Bool {
        let options = tokens("connection")
        if options.contains("close") { return false }
        return minorVersion >= 1 || options.contains("keep-alive")
    }

    /// Percent-decoded parts of the path; `/v1/devices/a%2Fb` is `["v1", "devices", "a/b"]`.
    /// A part that is not percent-encoded UTF-8 is refused by the parser already.
    public var pathSegments: [String] {
        path.utf8.split(separator: UInt8(ascii: "/")).map { PercentCoding.decode(Array($0)) ?? "" }
    }

    /// The query's pairs, decoded as a form (`+` is a space), in their order.
    public var query: [(name: String, value: String)] {
        rawQuery.utf8.split(separator: UInt8(ascii: "&")).map { pair in
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            return (PercentCoding.decodeForm(parts[0]), parts.count > 1 ? PercentCoding.decodeForm(parts[1]) : "")
        }
    }

    /// The first value of this name in the query.
    public func query(_ name: String) -> String? {
        rawQuery.isEmpty ? nil : query.first { $0.name == name }?.value
    }
}

/// Field lines as they arrived, one array of bytes for all of them.
struct HTTPFields: Sendable {
    private struct Entry: Sendable {
        var name: Range<Int>
        var value: Range<Int>
    }

    private var bytes: [UInt8] = []
    private var entries: [Entry] = []

    var count: Int { entries.count }

    mutating func append(name: some Collection<UInt8>, value: some Collection<UInt8>) {
        let start = bytes.count
        bytes.append(contentsOf: name)
        let middle = bytes.count
        bytes.append(contentsOf: value)
        entries.append(Entry(name: start..<middle, value: middle..<bytes.count))
    }

    func name(_ index: Int) -> ArraySlice<UInt8> { bytes[entries[index].name] }

    func value(_ index: Int) -> ArraySlice<UInt8> { bytes[entries[index].value] }

    func first(_ name: StaticString) -> Int? { indices(name).first }

    /// Where fields of this name stand, in their order.
    func indices(_ name: StaticString) -> [Int] {
        let wanted = Array(name.description.utf8)
        return entries.indices.filter { index in
            let range = entries[index].name
            guard range.count == wanted.count else { return false }
            return zip(bytes[range], wanted).allSatisfy { lowercase($0) == lowercase($1) }
        }
    }

    func tokens(_ name: StaticString) -> [String] {
        indices(name).flatMap { index in
            value(index).split(separator: UInt8(ascii: ",")).compactMap { part in
                let trimmed = trim(part)
                return trimmed.isEmpty ? nil : String(decoding: trimmed.map(lowercase), as: UTF8.self)
            }
        }
    }
}

func lowercase(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}

/// Without optional white space (SP, HTAB) at either end.
func trim(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    var rest = bytes.drop(while: isBlank)
    while let last = rest.last, isBlank(last) { rest.removeLast() }
    return rest
}
