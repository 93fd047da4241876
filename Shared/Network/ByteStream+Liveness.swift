internal import CUV
internal import EventLoop

// A machine that has vanished sends nothing, not even a reset: what TCP itself can tell of that.
extension ByteStream {
    /// Takes the time-out on data away that its listener gave it, and leaves the probes.
    public func spareSlowReader() {
        if let descriptor { _ = carillon_tcp_user_timeout(descriptor, 0) }
    }

    /// For how many seconds the peer's machine has acknowledged nothing although something waits for that; 0 if nothing waits.
    /// A peer that lives acknowledges what it cannot read yet.
    public var secondsUnacknowledged: Int { descriptor.map { Int(carillon_tcp_silence($0) / 1_000) } ?? 0 }

}

// A newcomer's socket takes these over from the one that accepted it, as Linux does it: a call into the kernel less for each of
// them and each option.
extension Listener {
    /// Ends each newcomer's stream when the peer's machine has acknowledged nothing for so long: neither data (`TCP_USER_TIMEOUT`,
    /// RFC 5482) nor, on an idle connection, the probes of keepalive (RFC 9293 section 3.8.4).
    ///
    /// A peer that lives and does not read is ended too, once its window has been closed for so long: who may read on later
    /// is spared that (`ByteStream.spareSlowReader`) and judged by `secondsUnacknowledged` instead.
    /// - Parameter seconds: at least 4.
    public func limitSilence(seconds: Int) {
        guard let descriptor else { return }
        let bounded = min(max(seconds, 4), 3_600)
        let interval = max(1, bounded / 8)
        _ = carillon_tcp_keepalive(descriptor, Int32(bounded - 3 * interval), Int32(interval), 3)
        _ = carillon_tcp_user_timeout(descriptor, UInt32(bounded) * 1_000)
    }

    /// Bounds what the kernel buffers for each newcomer that reads slowly (`SO_SNDBUF`; Linux doubles it).
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
