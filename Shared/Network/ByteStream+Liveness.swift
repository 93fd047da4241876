internal import CUV
internal import EventLoop

// A machine that has vanished sends nothing, not even a reset: what TCP itself can tell of that.
extension ByteStream {
    /// Ends the stream when the peer's machine has acknowledged nothing for so long: neither data (`TCP_USER_TIMEOUT`, RFC 5482) nor,
    /// on an idle connection, the probes of keepalive (RFC 9293 section 3.8.4).
    ///
    /// A peer that lives and does not read is ended too, once its window has been closed for so long: who may read on later
    /// is judged by `secondsUnacknowledged` instead.
    /// - Parameters:
    ///   - seconds: at least 4.
    ///   - endsSlowReaders: false: probes only, and not the time-out on data.
    public func limitSilence(seconds: Int, endsSlowReaders: Bool = true) {
        guard let descriptor else { return }
        let bounded = min(max(seconds, 4), 3_600)
        let interval = max(1, bounded / 8)
        _ = carillon_tcp_keepalive(descriptor, Int32(bounded - 3 * interval), Int32(interval), 3)
        _ = carillon_tcp_user_timeout(descriptor, endsSlowReaders ? UInt32(bounded) * 1_000 : 0)
    }

    /// For how many seconds the peer's machine has acknowledged nothing although something waits for that; 0 if nothing waits.
    /// A peer that lives acknowledges what it cannot read yet.
    public var secondsUnacknowledged: Int { descriptor.map { Int(carillon_tcp_silence($0) / 1_000) } ?? 0 }

    private var descriptor: Int32? {
        var descriptor: uv_os_fd_t = -1
        return !isClosing && uv_fileno(raw, &descriptor) == 0 ? descriptor : nil
    }
}
