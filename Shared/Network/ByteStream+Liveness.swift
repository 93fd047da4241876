internal import CUV
internal import EventLoop

// A machine that has vanished sends nothing, not even a reset. This is what TCP itself can tell of that.
extension ByteStream {
    /// Removes the time-out on data that the listener has set, and leaves the probes of keepalive.
    public func spareSlowReader() {
        if let descriptor { _ = carillon_tcp_user_timeout(descriptor, 0) }
    }

    /// For how many seconds the machine of the peer has acknowledged nothing although something waits for that; 0 if nothing
    /// waits. A peer that lives acknowledges even what it cannot read yet.
    public var secondsUnacknowledged: Int { descriptor.map { Int(carillon_tcp_silence($0) / 1_000) } ?? 0 }

}

// On Linux an accepted socket inherits these from the one that listens: one call into the kernel less for each connection and
// option.
extension Listener {
    /// Ends the stream of each new connection when the machine of the peer has acknowledged nothing for so long: neither data
    /// (`TCP_USER_TIMEOUT`, RFC 5482) nor, on an idle connection, the probes of keepalive (RFC 9293 section 3.8.4).
    ///
    /// A peer that lives and does not read is ended too, once its window has been closed for so long. A stream that may be read
    /// later is excepted (`ByteStream.spareSlowReader`) and judged by `secondsUnacknowledged` instead.
    /// - Parameter seconds: at least 4.
    public func limitSilence(seconds: Int) {
        guard let descriptor else { return }
        let bounded = min(max(seconds, 4), 3_600)
        let interval = max(1, bounded / 8)
        _ = carillon_tcp_keepalive(descriptor, Int32(bounded - 3 * interval), Int32(interval), 3)
        _ = carillon_tcp_user_timeout(descriptor, UInt32(bounded) * 1_000)
    }

    /// Bounds what the kernel buffers for each new connection that reads slowly (`SO_SNDBUF`; Linux doubles it).
    public func limitSendBuffer(bytes: Int32) {
        var value = bytes
        if !isClosing { uv_send_buffer_size(raw, &value) }
    }

    /// Small writes leave at once, and a peer that is quiet is asked after a minute whether it is there.
    func setCommonOptions() {
        guard let descriptor else { return }
        _ = carillon_tcp_nodelay(descriptor)
        _ = carillon_tcp_keepalive(descriptor, 60, 1, 10)
    }
}

extension LoopHandle {
    fileprivate var descriptor: Int32? {
        var descriptor: uv_os_fd_t = -1
        return !isClosing && uv_fileno(raw, &descriptor) == 0 ? descriptor : nil
    }
}
