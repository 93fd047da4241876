internal import CUV
public import EventLoop

/// A listening TCP socket. Loop thread only.
///
/// Out of descriptors libuv accepts and closes by itself; whoever owns the listener refuses earlier, in words.
public final class Listener: LoopHandle {
    /// The port it listens on, also where 0 was asked for.
    public private(set) var port = 0
    /// A newcomer. It must be given a handler and told to read, or be closed.
    public var onAccept: ((ByteStream) -> Void)?

    /// Binds and listens.
    /// - Parameters:
    ///   - address: a numeric IPv4 or IPv6 address.
    ///   - port: 0 takes a free one.
    ///   - backlog: how many may wait for `onAccept`; the kernel's own limit applies too.
    public init(loop: EventLoop, address: String, port: Int, backlog: Int32 = 1_024) throws(NetworkError) {
        super.init(loop: loop, type: UV_TCP)
        let tcp = memory.assumingMemoryBound(to: uv_tcp_t.self)
        uv_tcp_init(loop.raw, tcp)
        attach()
        var status = withAddress(address, port: port) { uv_tcp_bind(tcp, $0, 0) }
        if status == 0 {
            status = uv_listen(memory.assumingMemoryBound(to: uv_stream_t.self), backlog) { handle, status in
                if status == 0 { LoopHandle.of(handle!.pointee.data, as: Listener.self).accept() }
            }
        }
        guard status == 0 else {
            beginClose()
            throw NetworkError("listen on \(address):\(port)", code: status)
        }
        self.port = boundPort(tcp)
    }

    private func accept() {
        let stream = ByteStream(loop: loop)
        let status = uv_accept(
            memory.assumingMemoryBound(to: uv_stream_t.self), stream.memory.assumingMemoryBound(to: uv_stream_t.self))
        guard status == 0, let onAccept else { return stream.close() }
        stream.configure()
        onAccept(stream)
    }

    /// Takes no newcomer any more; those it gave out stay.
    public func close() {
        onAccept = nil
        beginClose()
    }
}

private func boundPort(_ tcp: UnsafeMutablePointer<uv_tcp_t>) -> Int {
    var storage = sockaddr_storage()
    var length = Int32(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { pointer in
        let status = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { uv_tcp_getsockname(tcp, $0, &length) }
        guard status == 0 else { return 0 }
        // The port stands at the same place for both families.
        return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { Int(UInt16(bigEndian: $0.pointee.sin_port)) }
    }
}
