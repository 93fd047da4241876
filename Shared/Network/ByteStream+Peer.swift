internal import CUV
internal import EventLoop

// Who is at either end.
extension ByteStream {
    /// The peer's address without the port, `127.0.0.1` or `::1`; `nil` once closed.
    public var peerAddress: String? { withPeer { name(of: $0) } }

    /// The peer's address in the form that ranges are compared with; `nil` once closed.
    public var peer: NetworkAddress? { withPeer { NetworkAddress($0) } }

    /// This end's address with its port as a URL has it, `127.0.0.1:8080` or `[::1]:8080`; `nil` once closed.
    public var localHost: String? {
        withEnd(uv_tcp_getsockname) { address in
            guard let name = name(of: address) else { return nil }
            // The port stands at the same place for both families.
            let port = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { UInt16(bigEndian: $0.pointee.sin_port) }
            return name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)"
        }
    }

    private func withPeer<Value>(_ body: (UnsafePointer<sockaddr>) -> Value?) -> Value? { withEnd(uv_tcp_getpeername, body) }

    private func withEnd<Value>(
        _ ask: (UnsafePointer<uv_tcp_t>, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<Int32>) -> Int32,
        _ body: (UnsafePointer<sockaddr>) -> Value?
    ) -> Value? {
        guard !isClosing else { return nil }
        var storage = sockaddr_storage()
        var length = Int32(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                ask(tcp, address, &length) == 0 ? body(address) : nil
            }
        }
    }
}
