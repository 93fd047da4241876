/// The request line, taken apart (RFC 9112 section 3).
struct RequestLine: Sendable {
    var method: String
    var path: String
    var query: String
    var minorVersion: Int

    init(_ line: ArraySlice<UInt8>) throws(HTTPError) {
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 3 else {
            throw .malformed("The request line is not method, target and version, parted by one space each.")
        }
        guard !parts[0].isEmpty, parts[0].allSatisfy(isTokenByte) else {
            throw .malformed("The method is not a token.")
        }
        method = String(decoding: parts[0], as: UTF8.self)
        minorVersion = try Self.version(parts[2])
        (path, query) = try Self.target(parts[1], method: method)
    }

    private static func version(_ bytes: ArraySlice<UInt8>) throws(HTTPError) -> Int {
        let text = String(decoding: bytes, as: UTF8.self)
        switch text {
        case "HTTP/1.1": return 1
        case "HTTP/1.0": return 0
        default: break
        }
        let digits = Array(bytes)
        let isDigit = { (byte: UInt8) in byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
        guard text.hasPrefix("HTTP/"), digits.count == 8, digits[6] == UInt8(ascii: "."), isDigit(digits[5]),
            isDigit(digits[7])
        else { throw .malformed("The version is not of the form HTTP/1.1.") }
        // A later minor version is answered as 1.1 (RFC 9110 section 2.5).
        if digits[5] == UInt8(ascii: "1") { return 1 }
        throw HTTPError(
            status: 505, name: "version_not_supported", detail: "This server speaks HTTP/1.0 and HTTP/1.1.")
    }

    /// Origin form, absolute form, and `*` for OPTIONS (RFC 9112 section 3.2).
    private static func target(
        _ bytes: ArraySlice<UInt8>, method: String
    ) throws(HTTPError) -> (path: String, query: String) {
        guard !bytes.isEmpty, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }) else {
            throw .malformed("The request target holds a byte that must be percent-encoded.")
        }
        var target = bytes
        if target.first != UInt8(ascii: "/") {
            if target.count == 1, target.first == UInt8(ascii: "*"), method == "OPTIONS" { return ("*", "") }
            target = try originForm(ofAbsolute: target)
        }
        let parts = target.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        guard PercentCoding.decode(Array(parts[0])) != nil else {
            throw .malformed("The path is not percent-encoded UTF-8.")
        }
        return (
            String(decoding: parts[0], as: UTF8.self), parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
        )
    }

    private static func originForm(ofAbsolute target: ArraySlice<UInt8>) throws(HTTPError) -> ArraySlice<UInt8> {
        for scheme in ["http://", "https://"] where target.map(lowercase).starts(with: scheme.utf8) {
            let rest = target.dropFirst(scheme.utf8.count)
            guard let end = rest.firstIndex(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }) else {
                // A host is part of the scheme's form (RFC 9110 section 4.2.1).
                if rest.isEmpty { break }
                return [UInt8(ascii: "/")]
            }
            guard end > rest.startIndex else { break }
            return rest[end] == UInt8(ascii: "/") ? rest[end...] : [UInt8(ascii: "/")] + rest[end...]
        }
        throw .malformed("The request target is neither a path nor an absolute URL.")
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
        UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
        true
    default: false
    }
}
