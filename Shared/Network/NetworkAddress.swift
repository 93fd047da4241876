internal import CUV

/// A numeric IPv4 or IPv6 address without a port. An IPv4 address that came over IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
public struct NetworkAddress: Hashable, Sendable {
    /// As 128 bits; IPv4 as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Nil if the text is not an address. Brackets around an IPv6 address and a port behind either form, as proxies write them
    /// (RFC 7239 section 6), are ignored.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 64 else { return nil }
        var host = Substring(text)
        if host.first == "[" {
            guard let end = host.firstIndex(of: "]") else { return nil }
            host = host[host.index(after: host.startIndex)..<end]
        } else if let colon = host.firstIndex(of: ":"), host.lastIndex(of: ":") == colon, host.contains(".") {
            host = host[..<colon]
        }
        let copy = String(host)
        var bytes = [UInt8](repeating: 0, count: 16)
        if uv_inet_pton(Int32(AF_INET), copy, &bytes) == 0 {
            self.init(four: bytes[..<4])
        } else if uv_inet_pton(Int32(AF_INET6), copy, &bytes) == 0 {
            self.init(sixteen: bytes)
        } else {
            return nil
        }
    }

    private init(four bytes: some Sequence<UInt8>) {
        self.init(high: 0, low: bytes.reduce(0xFFFF) { $0 << 8 | UInt64($1) })
    }

    private init(sixteen bytes: some Collection<UInt8>) {
        self.init(
            high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }, low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
    }

    init?(_ address: UnsafePointer<sockaddr>) {
        switch Int32(address.pointee.sa_family) {
        case Int32(AF_INET):
            let four = UnsafeRawPointer(address).load(as: sockaddr_in.self)
            self.init(high: 0, low: 0xFFFF << 32 | UInt64(UInt32(bigEndian: four.sin_addr.s_addr)))
        case Int32(AF_INET6):
            let six = UnsafeRawPointer(address).load(as: sockaddr_in6.self)
            self.init(sixteen: withUnsafeBytes(of: six.sin6_addr) { Array($0) })
        default: return nil
        }
    }

    /// The number under which this process counts and logs the site of the address: a hash with a secret that is new at each
    /// start. Never 0.
    public var siteKey: UInt32 {
        let key = UInt32(truncatingIfNeeded: site.hashValue)
        return key == 0 ? 1 : key
    }

    public var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// What one customer of a network usually holds: an IPv4 address, or the /64 of an IPv6 address (RFC 6177 section 2).
    public var site: NetworkAddress { isIPv4 ? self : NetworkAddress(high: high, low: 0) }
}

extension NetworkAddress: CustomStringConvertible {
    /// `192.0.2.1`, `2001:db8::1` (RFC 5952).
    public var description: String {
        var bytes = [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * UInt64($0))) } }
        if isIPv4 { bytes.removeFirst(12) }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
            guard uv_inet_ntop(Int32(isIPv4 ? AF_INET : AF_INET6), bytes, text.baseAddress, 64) == 0 else { return "" }
            return String(cString: text.baseAddress!)
        }
    }
}

/// A network in CIDR notation, `10.0.0.0/8`, or a single address.
public struct AddressRange: Hashable, Sendable {
    private let base: NetworkAddress
    /// The length of the prefix, of 128 bits.
    private let bits: Int

    /// Nil if the text is not a network.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let base = NetworkAddress(parts[0]) else { return nil }
        let width = base.isIPv4 ? 32 : 128
        var length = width
        if parts.count == 2 {
            guard let number = Int(parts[1]), (0...width).contains(number) else { return nil }
            length = number
        }
        self.base = base
        bits = length + 128 - width
    }

    public func contains(_ address: NetworkAddress) -> Bool {
        let highBits = min(bits, 64)
        let lowBits = bits - highBits
        return Self.agree(base.high, address.high, highBits) && Self.agree(base.low, address.low, lowBits)
    }

    private static func agree(_ left: UInt64, _ right: UInt64, _ bits: Int) -> Bool {
        bits == 0 || (left ^ right) >> UInt64(64 - bits) == 0
    }
}
