public import Network
public import Settings

/// Where a request came from, for what is counted by address, and for the line of a refusal.
public enum RequestOrigin {
    /// The client's address; nil if it is not known, and no limit holds for it.
    ///
    /// A peer outside `trusted` is the client. A trusted peer is a proxy, or the operator's own machine, and its
    /// `X-Forwarded-For` (`forwarded` are its members) is believed: the last address there that is not a proxy's own is the
    /// client. Anybody may have written what stands before that one, and what an untrusted peer writes.
    public static func address(peer: NetworkAddress, forwarded: [String], trusted: [AddressRange]) -> NetworkAddress? {
        guard isTrusted(peer, trusted) else { return peer }
        for text in forwarded.reversed() {
            // One of our proxies wrote this, and so says that it does not know the client.
            guard let address = NetworkAddress(text) else { return nil }
            if !isTrusted(address, trusted) { return address }
        }
        return nil
    }

    /// The address that answers for a request: as `address`, and within the trusted networks the one that our proxy names, or
    /// else the peer.
    static func source(peer: NetworkAddress, forwarded: [String], trusted: [AddressRange]) -> NetworkAddress {
        if let address = address(peer: peer, forwarded: forwarded, trusted: trusted) { return address }
        return forwarded.last.flatMap { NetworkAddress($0) } ?? peer
    }

    public static func isTrusted(_ address: NetworkAddress, _ trusted: [AddressRange]) -> Bool {
        trusted.contains { $0.contains(address) }
    }
}

extension SettingKind where Value == [AddressRange] {
    /// `10.0.0.0/8,::1`, or `none`.
    public static var addressRanges: Self {
        SettingKind(form: "addresses and networks, separated by commas (192.0.2.1, 10.0.0.0/8, fc00::/7), or none") { text in
            if text == "none" { return [] }
            var ranges: [AddressRange] = []
            for part in text.split(separator: ",", omittingEmptySubsequences: false) {
                guard let range = AddressRange(part.filter { $0 != " " }) else { return nil }
                ranges.append(range)
            }
            return ranges
        }
    }
}
