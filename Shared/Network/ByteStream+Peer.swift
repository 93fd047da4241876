internal import CUV
internal import EventLoop

// Who is at the other end.
extension ByteStream {
    /// The peer's address without the port, `127.0.0.1` or `::1`; `nil` once closed.
    public var peerAddress: String? { withPeer { name(of: $0) } }

    /// The peer's address in the form that ranges are compared with; `nil` once closed.
    public var peer: NetworkAddress? { withPeer { NetworkAddress($0) } }

    private func withPeer<Value>(_ body: (UnsafePointer<sockaddr>) -> Value?) -> Value? {
        guard !isClosing else { return nil }
        var storage = sockaddr_storage()
        var length = Int32(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                uv_tcp_getpeername(tcp, address, &length) == 0 ? body(address) : nil
            }
        }
    }
}
