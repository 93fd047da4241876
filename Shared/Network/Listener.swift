internal import CUV
public import EventLoop
internal import Glibc

/// A listening TCP socket. Loop thread only.
///
/// If there is no descriptor left, libuv accepts and closes by itself. So whoever owns the listener refuses earlier, with an
/// answer.
public final class Listener: LoopHandle {
    /// The port it listens on, also where 0 was asked for.
    public private(set) var port = 0
    /// Called for a new connection. The stream must be given a handler and told to read, or be closed.
    public var onAccept: ((ByteStream) -> Void)?

    /// Binds and listens.
    /// - Parameters:
    ///   - address: a numeric IPv4 or IPv6 address.
    ///   - port: 0 takes a free one.
    ///   - backlog: how many may wait for `onAccept`; the kernel's own limit applies too.
    ///   - sharesPort: other listeners of this user that say so too may listen on the same port (`SO_REUSEPORT`), and the
    ///     kernel spreads the newcomers over them.
    public init(
        loop: EventLoop, address: String, port: Int, backlog: Int32 = 1_024, sharesPort: Bool = false
    ) throws(NetworkError) {
        super.init(loop: loop, type: UV_TCP)
        let tcp = memory.assumingMemoryBound(to: uv_tcp_t.self)
        uv_tcp_init(loop.raw, tcp)
        attach()
        var status = withAddress(address, port: port) { address in
            let shared = sharesPort ? openSharing(tcp, address.pointee.sa_family) : 0
            return shared == 0 ? uv_tcp_bind(tcp, address, 0) : shared
        }
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
        setCommonOptions()
    }

    private func accept() {
        let stream = ByteStream(loop: loop)
        let status = uv_accept(
            memory.assumingMemoryBound(to: uv_stream_t.self), stream.memory.assumingMemoryBound(to: uv_stream_t.self))
        guard status == 0, let onAccept else { return stream.close() }
        onAccept(stream)
    }

    /// Accepts no new connection any more. Streams that it has given out stay open.
    public func close() {
        onAccept = nil
        beginClose()
    }
}

/// Gives the handle a socket with `SO_REUSEPORT`, which must be set before it is bound and which libuv 1.44 does not set.
private func openSharing(_ tcp: UnsafeMutablePointer<uv_tcp_t>, _ family: sa_family_t) -> Int32 {
    let descriptor = socket(Int32(family), Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return -errno }
    var yes: Int32 = 1
    guard setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &yes, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
        defer { close(descriptor) }
        return -errno
    }
    let status = uv_tcp_open(tcp, descriptor)
    if status != 0 { close(descriptor) }
    return status
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
