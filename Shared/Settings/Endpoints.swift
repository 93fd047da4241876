/// A host and a port, as in `localhost:9092` or `[::1]:9092`.
public struct HostPort: Hashable, Sendable, CustomStringConvertible {
    public let host: String
    public let port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port` or `[v6]:port`; without a port, `defaultPort` if there is one.
    public init?(_ text: some StringProtocol, defaultPort: Int? = nil) {
        var host = Substring(text)
        var port = defaultPort
        if host.first == "[" {
            guard let end = host.firstIndex(of: "]") else { return nil }
            let rest = host[host.index(after: end)...]
            host = host[host.index(after: host.startIndex)..<end]
            if !rest.isEmpty {
                guard rest.first == ":" else { return nil }
                port = parseInteger(rest.dropFirst())
            }
        } else if let colon = host.lastIndex(of: ":") {
            port = parseInteger(host[host.index(after: colon)...])
            host = host[..<colon]
            guard !host.contains(":") else { return nil }
        }
        guard let port, (1...65535).contains(port), !host.isEmpty else { return nil }
        guard host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }) else { return nil }
        self.host = String(host)
        self.port = port
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A URL as settings need it: `scheme://[user[:password]@]host[:port][/path]` (RFC 3986 section 3), no query.
/// User and password are percent-decoded; the description leaves them out.
public struct ServiceURL: Hashable, Sendable, CustomStringConvertible {
    public let scheme: String
    public let user: String?
    public let password: String?
    public let host: String
    public let port: Int
    /// With its first slash, or empty.
    public let path: String

    /// `ports` are the schemes that are taken, each with the port that holds where none is written.
    public init?(_ text: String, ports: [String: Int]) {
        guard let schemeEnd = text.firstIndex(of: ":"), text[schemeEnd...].hasPrefix("://") else { return nil }
        let scheme = text[..<schemeEnd].lowercased()
        guard let defaultPort = ports[scheme] else { return nil }
        let rest = text[text.index(schemeEnd, offsetBy: 3)...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var authority = rest[..<slash]
        let path = rest[slash...]
        guard path.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }), !path.contains("?"), !path.contains("#") else {
            return nil
        }
        var user: String?
        var password: String?
        if let at = authority.lastIndex(of: "@") {
            let credentials = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            authority = authority[authority.index(after: at)...]
            guard let first = credentials.first, let decoded = percentDecoded(first) else { return nil }
            user = decoded.isEmpty ? nil : decoded
            if credentials.count == 2 {
                guard let decoded = percentDecoded(credentials[1]) else { return nil }
                password = decoded.isEmpty ? nil : decoded
            }
        }
        guard let place = HostPort(authority, defaultPort: defaultPort) else { return nil }
        self.scheme = scheme
        self.user = user
        self.password = password
        host = place.host
        port = place.port
        self.path = String(path)
    }

    public var description: String { "\(scheme)://\(HostPort(host: host, port: port))\(path)" }
}

extension SettingKind where Value == ServiceURL {
    /// A URL of one of the schemes, each with its default port.
    public static func url(_ ports: [String: Int]) -> Self {
        let schemes = ports.keys.sorted().map { "\($0)://" }.joined(separator: " or ")
        return SettingKind(form: "a URL \(schemes)host[:port]") { ServiceURL($0, ports: ports) }
    }
}

extension SettingKind where Value == HostPort {
    public static func hostPort(defaultPort: Int? = nil) -> Self {
        let form = defaultPort.map { "host[:port] (port \($0) where none is written)" } ?? "host:port"
        return SettingKind(form: form) { HostPort($0, defaultPort: defaultPort) }
    }
}

extension SettingKind where Value == String {
    /// A web page's origin as a browser writes it (RFC 6454 section 6.1): lower case, no path, no port that is the
    /// scheme's own. Neither `*` nor `null` is one: credentials go to pages that are named.
    public static var origin: Self {
        SettingKind(form: "an origin as browsers write it, scheme://host[:port] without a path (* is not taken)") { text in
            guard text.utf8.count <= 255, let end = text.firstIndex(of: ":"), text[end...].hasPrefix("://") else { return nil }
            let scheme = text[..<end]
            let isLower = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !(0x41...0x5A).contains($0) }
            guard isLower, !scheme.isEmpty, scheme.utf8.allSatisfy({ isNameByte($0) }) else { return nil }
            let own = scheme == "https" ? 443 : scheme == "http" ? 80 : nil
            guard let place = HostPort(text[end...].dropFirst(3), defaultPort: own ?? 1), !place.host.contains("*") else {
                return nil
            }
            return own != nil && text.hasSuffix(":\(place.port)") && place.port == own ? nil : text
        }
    }
}

func percentDecoded(_ text: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8.makeIterator()
    while let byte = rest.next() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        guard let high = rest.next().flatMap(hexDigit), let low = rest.next().flatMap(hexDigit) else { return nil }
        bytes.append(high << 4 | low)
    }
    return String(validating: bytes, as: UTF8.self)
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- UInt8(ascii: "a") &+ 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- UInt8(ascii: "A") &+ 10
    default: nil
    }
}
