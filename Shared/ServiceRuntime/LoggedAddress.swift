public import Network

/// A client's address as it may stand in a log line: a hash that is the same for one run of a process, or the address itself
/// where the operator wants that (`LOG_ADDRESSES`).
public struct LoggedAddress: Equatable, Sendable {
    let text: String

    /// - Parameter isShown: false: only the hash is kept. Of IPv6 it is the /64's.
    public init(_ address: NetworkAddress, isShown: Bool) {
        text = isShown ? address.description : Self.text(ofKey: address.siteKey)
    }

    /// Where only the key of an address is known.
    public init(key: UInt32) { text = Self.text(ofKey: key) }

    private static func text(ofKey key: UInt32) -> String {
        let digits = String(key, radix: 16)
        return "#" + String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }
}
