internal import CUV

/// An address as text, `127.0.0.1` or `::1`.
func name(of address: UnsafePointer<sockaddr>) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
        guard uv_ip_name(address, text.baseAddress!, 64) == 0 else { return nil }
        return String(cString: text.baseAddress!)
    }
}

/// Calls `body` with the numeric IPv4 or IPv6 address; `UV_EINVAL` if it is none.
func withAddress(_ host: String, port: Int, _ body: (UnsafePointer<sockaddr>) -> Int32) -> Int32 {
    var storage = sockaddr_storage()
    return withUnsafeMutablePointer(to: &storage) { pointer in
        let port = Int32(truncatingIfNeeded: port)
        let asFour = pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { uv_ip4_addr(host, port, $0) }
        if asFour != 0 {
            let asSix = pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { uv_ip6_addr(host, port, $0) }
            if asSix != 0 { return asSix }
        }
        return pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0) }
    }
}
