package import CUV
public import EventLoop
internal import Glibc

/// What a stream tells the session that owns it; always on the loop's thread.
public protocol ByteStreamHandler: AnyObject {
    /// Bytes arrived. They lie in the loop's shared buffer and are valid during the call only.
    func received(_ bytes: Span<UInt8>)
    /// All that was written has reached the kernel, after some of it had to wait.
    func drained()
    /// The last call. It comes exactly once, whichever side closed.
    func closed(_ reason: StreamClosure)
}

/// A TCP connection, plain or TLS. Loop thread only.
///
/// It keeps no receive buffer, and of what was written only what the kernel did not take. It sets no bound on what is queued:
/// the writer looks at `queuedBytes`, because only the writer knows what to do instead.
public final class ByteStream: LoopHandle {
    /// Kept alive by the stream until `closed`. A stream without a handler reads nothing.
    public var handler: (any ByteStreamHandler)?

    /// Bytes written and not yet taken by the kernel.
    public var queuedBytes: Int { chunkBytes + (tls?.pendingBytes ?? 0) }
    /// Chunks written and not yet taken by the kernel.
    public var queuedChunks: Int { chunks.count }

    /// The kernel's buffer is full, and the peer has not read enough yet to make room; `drained` follows.
    public var isBlocked: Bool { state.contains(.isWaiting) }

    /// Since when something has been waiting for the kernel without a break, in whole seconds; 0: nothing is, or not for long.
    public var secondsBlocked: Int { blockedAt == 0 ? 0 : Int(clamping: loop.now / 1000 &- UInt64(blockedAt)) }

    /// Whether the kernel has taken something that had to wait, since this was asked last: its peer has read.
    public func hasMoved() -> Bool { state.remove(.hasMoved) != nil }

    /// At most this is copied for the kernel to take later, when a socket's buffer is full; the rest follows uncopied once
    /// it has taken this.
    private static let waitingWriteBytes = 4_096
    /// How long a closing stream waits for the peer to read its last bytes.
    private static let lingerTime = Duration.seconds(2)
    /// How long a closing stream waits for the kernel to take its last bytes.
    private static let flushTime = Duration.seconds(10)

    private struct State: OptionSet {
        let rawValue: UInt8
        static let isReading = State(rawValue: 1)
        static let awaitsTurnEnd = State(rawValue: 2)
        /// libuv holds a write; what comes after it waits.
        static let isWaiting = State(rawValue: 4)
        static let closesWhenFlushed = State(rawValue: 8)
        /// Our side is shut; what still arrives is read and dropped, so that the peer gets our last bytes and no reset.
        static let isLingering = State(rawValue: 16)
        /// The kernel has taken something that had to wait.
        static let hasMoved = State(rawValue: 32)
    }

    private var tls: TLSSession?
    private var chunks: ContiguousArray<[UInt8]> = []
    private var chunkBytes = 0
    /// How many bytes of the first chunk have gone. Four bytes long, because there are many streams.
    private var firstGone: UInt32 = 0
    private var firstOffset: Int {
        get { Int(firstGone) }
        set { firstGone = UInt32(truncatingIfNeeded: newValue) }
    }
    private var state: State = []
    private var closure = StreamClosure.local
    /// The second of the loop's clock at which the queue last went from empty to waiting; 0: it is empty.
    private var blockedAt: UInt32 = 0
    /// The descriptor, which libuv owns until the stream is closed; -1: not asked for yet.
    private var descriptor: Int32 = -1

    package init(loop: EventLoop) {
        super.init(loop: loop, type: UV_TCP)
        uv_tcp_init(loop.raw, tcp)
        attach()
    }

    package var tcp: UnsafeMutablePointer<uv_tcp_t> { memory.assumingMemoryBound(to: uv_tcp_t.self) }
    private var stream: UnsafeMutablePointer<uv_stream_t> { memory.assumingMemoryBound(to: uv_stream_t.self) }

    /// Sets the options of every connection once it is open. An accepted connection has inherited them from its listener.
    package func configure() {
        uv_tcp_nodelay(tcp, 1)
        uv_tcp_keepalive(tcp, 1, 60)
    }

    // MARK: Reading

    /// Starts reading, or goes on after `pauseReading`.
    public func resumeReading() {
        guard !isClosing, !state.contains(.isReading) else { return }
        let status = uv_read_start(
            stream,
            { handle, _, buffer in
                let shared = LoopHandle.of(handle!.pointee.data, as: ByteStream.self).loop.receiveBuffer
                buffer!.pointee = uv_buf_init(
                    shared.baseAddress!.assumingMemoryBound(to: CChar.self), UInt32(shared.count))
            },
            { handle, count, buffer in
                LoopHandle.of(handle!.pointee.data, as: ByteStream.self).read(count, buffer!.pointee)
            })
        if status == 0 { state.insert(.isReading) } else { fail(status) }
    }

    /// Takes nothing more from the kernel, so that the peer has to stop sending.
    public func pauseReading() {
        guard !isClosing, state.contains(.isReading) else { return }
        uv_read_stop(stream)
        state.remove(.isReading)
    }

    private func read(_ count: Int, _ buffer: uv_buf_t) {
        if count < 0 {
            if count == Int(UV_EOF.rawValue) { finish(.peer) } else { fail(Int32(truncatingIfNeeded: count)) }
        } else if count > 0, !state.contains(.isLingering), let base = buffer.base, let handler {
            let bytes = UnsafeRawBufferPointer(start: base, count: count)
            if let tls { return decrypt(bytes, tls) }
            bytes.withMemoryRebound(to: UInt8.self) { handler.received($0.span) }
        }
    }

    // MARK: TLS

    /// Speaks TLS from here on: to be called before anything is read or written. As a client, `host` is the name that the
    /// peer's certificate must bear. A handshake that fails closes the stream; what is written meanwhile waits for it.
    /// False if OpenSSL has no memory for it.
    public func startTLS(_ context: TLSContext, host: String? = nil) -> Bool {
        guard let session = TLSSession(context: context, host: host) else { return false }
        tls = session
        if !context.isServer { advance(session, session.shakeHands()) }
        return true
    }

    private func decrypt(_ bytes: UnsafeRawBufferPointer, _ tls: TLSSession) {
        let progress = tls.receive(bytes, into: loop.plaintextBuffer) { plain in
            guard !isClosing else { return }
            plain.withMemoryRebound(to: UInt8.self) { handler?.received($0.span) }
        }
        if !isClosing { advance(tls, progress) }
    }

    /// Sends what the TLS session has to send, and ends the stream if the session has ended.
    private func advance(_ tls: TLSSession, _ progress: TLSSession.Progress) {
        let encrypted = tls.encryptPending()
        let bytes = tls.ciphertext()
        if !bytes.isEmpty {
            chunks.append(bytes)
            chunkBytes += bytes.count
            scheduleFlush()
        }
        switch progress {
        case .open: if case .failed(let fault) = encrypted { finish(.tls(fault)) }
        case .ended: finish(.peer)
        case .failed(let fault):
            // The alert that says why, if the socket takes it at once.
            flush()
            finish(.tls(fault))
        }
    }

    // MARK: Writing

    /// Queues bytes; all that one turn queues leaves in one write at its end. The array is shared, not copied.
    /// After `close` or `closeAfterFlush` it does nothing.
    public func write(_ bytes: [UInt8]) {
        guard !isClosing, !state.contains(.closesWhenFlushed), !bytes.isEmpty else { return }
        if let tls {
            tls.append(bytes)
        } else {
            chunks.append(bytes)
            chunkBytes += bytes.count
        }
        scheduleFlush()
    }

    /// Queues an envelope and a body that other streams share.
    public func write(_ head: [UInt8], _ body: [UInt8]) {
        write(head)
        write(body)
    }

    /// Writes bytes that many streams share, at once where nothing waits before them: a stream whose kernel takes all of it keeps
    /// no queue for it. Otherwise as `write`.
    public func writeThrough(_ bytes: [UInt8]) {
        guard !isClosing, tls == nil, chunks.isEmpty, !bytes.isEmpty,
            state.isDisjoint(with: [.isWaiting, .closesWhenFlushed])
        else { return write(bytes) }
        let taken = bytes.withUnsafeBytes(tryWrite)
        if taken == bytes.count { return }
        if taken < 0, taken != Int(UV_EAGAIN.rawValue) { return fail(Int32(truncatingIfNeeded: taken)) }
        chunks.append(bytes)
        chunkBytes += bytes.count
        if taken > 0 { drop(taken) }
        waitForKernel()
    }

    private func scheduleFlush() {
        guard state.isDisjoint(with: [.awaitsTurnEnd, .isWaiting]) else { return }
        state.insert(.awaitsTurnEnd)
        loop.atTurnEnd(self)
    }

    public override func turnEnded() {
        state.remove(.awaitsTurnEnd)
        flushNow()
    }

    /// Offers the kernel what is queued without waiting for the turn's end: for who must know now how much it takes.
    public func flushNow() {
        if !isClosing, let tls, tls.isEstablished { encrypt(tls) }
        guard !isClosing, !state.contains(.isWaiting) else { return }
        flush()
    }

    private func encrypt(_ tls: TLSSession) {
        if case .failed(let fault) = tls.encryptPending() { return finish(.tls(fault)) }
        let bytes = tls.ciphertext()
        guard !bytes.isEmpty else { return }
        chunks.append(bytes)
        chunkBytes += bytes.count
    }

    private func flush() {
        while !chunks.isEmpty {
            let status = chunks.count == 1 ? tryFirst() : tryGathered()
            if status == Int(UV_EAGAIN.rawValue) { return waitForKernel() }
            if status < 0 { return fail(Int32(truncatingIfNeeded: status)) }
            drop(status)
        }
        chunks = []
        if state.contains(.closesWhenFlushed), queuedBytes == 0 { linger() }
    }

    /// Offers the only chunk as it lies.
    private func tryFirst() -> Int {
        chunks[0].withUnsafeBytes { bytes in
            tryWrite(UnsafeRawBufferPointer(rebasing: bytes[firstOffset...]))
        }
    }

    /// Gathers small chunks into one write: a copy of some hundred bytes costs less than a second call into the kernel.
    private func tryGathered() -> Int {
        let length = gather(into: loop.gatherBuffer)
        return tryWrite(UnsafeRawBufferPointer(rebasing: loop.gatherBuffer[..<length]))
    }

    private func gather(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var length = 0
        var offset = firstOffset
        for chunk in chunks {
            let count = min(chunk.count - offset, buffer.count - length)
            chunk.withUnsafeBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: buffer[length...]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
            }
            length += count
            offset = 0
            if length == buffer.count { break }
        }
        return length
    }

    /// As `uv_try_write`, but by `send`: `write`, which libuv calls, looks at a file's inode first, and a delivery to a client that has
    /// slept costs what it misses in the caches. Only while libuv holds no write; answers as libuv does.
    private func tryWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
        if descriptor < 0, uv_fileno(raw, &descriptor) != 0 { return Int(UV_EBADF.rawValue) }
        while true {
            let sent = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if sent >= 0 { return sent }
            switch errno {
            case EINTR: continue
            case EAGAIN, ENOBUFS: return Int(UV_EAGAIN.rawValue)
            default: return -Int(errno)
            }
        }
    }

    private func drop(_ count: Int) {
        chunkBytes -= count
        var left = count
        var gone = 0
        while left > 0 {
            let rest = chunks[gone].count - firstOffset
            if left < rest {
                firstOffset += left
                break
            }
            left -= rest
            firstOffset = 0
            gone += 1
        }
        if gone > 0 { chunks.removeFirst(gone) }
    }

    /// The kernel's buffer is full: libuv watches for room with a bounded copy; the rest stays shared in the queue.
    private func waitForKernel() {
        let request = WaitingWrite(capacity: min(chunkBytes, Self.waitingWriteBytes))
        let length = gather(into: request.bytes)
        var buffer = uv_buf_init(
            request.bytes.baseAddress!.assumingMemoryBound(to: CChar.self), UInt32(truncatingIfNeeded: length))
        let status = uv_write(request.attach(), stream, &buffer, 1) { raw, status in
            // Takes back the reference of `attach`; libuv calls this exactly once, before the handle's close callback.
            let request = WaitingWrite.detach(raw!)
            LoopHandle.of(raw!.pointee.handle.pointee.data, as: ByteStream.self).waited(request, status)
        }
        if status < 0 {
            _ = WaitingWrite.detach(request.raw)
            return fail(status)
        }
        state.insert(.isWaiting)
        if blockedAt == 0 { blockedAt = max(1, UInt32(truncatingIfNeeded: loop.now / 1000)) }
    }

    private func waited(_ request: WaitingWrite, _ status: Int32) {
        state.remove(.isWaiting)
        guard !isClosing else { return }
        if status < 0 { return fail(status) }
        state.insert(.hasMoved)
        drop(request.bytes.count)
        if let tls, tls.isEstablished { encrypt(tls) }
        guard !isClosing else { return }
        flush()
        guard queuedBytes == 0 else { return }
        blockedAt = 0
        if !isClosing { handler?.drained() }
    }

    // MARK: Closing

    /// Closes at once; what is queued is lost. `closed` follows later, never within this call.
    public func close() {
        finish(.local)
    }

    /// Closes once all that is queued has gone and the peer has had time to read it.
    public func closeAfterFlush() {
        guard !isClosing, !state.contains(.closesWhenFlushed) else { return }
        state.insert(.closesWhenFlushed)
        if queuedBytes == 0, !state.contains(.isWaiting) { return linger() }
        scheduleFlush()
        // Without this a peer that reads nothing would keep a descriptor for ever.
        loop.timer(after: Self.flushTime) { [weak self] in
            guard let self, !self.state.contains(.isLingering) else { return }
            self.close()
        }
    }

    private func linger() {
        state.insert(.isLingering)
        if let tls, tls.isEstablished {
            tls.end()
            let farewell = tls.ciphertext()
            if !farewell.isEmpty { _ = farewell.withUnsafeBytes(tryWrite) }
        }
        let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
        let status = uv_shutdown(request, stream) { request, _ in request?.deallocate() }
        guard status == 0 else {
            request.deallocate()
            return close()
        }
        resumeReading()
        // This timer keeps no state in the stream, because it is rare. A stream that is closed earlier is not closed twice.
        loop.timer(after: Self.lingerTime) { [weak self] in self?.close() }
    }

    private func fail(_ code: Int32) {
        finish(.failed(code))
    }

    private func finish(_ reason: StreamClosure) {
        guard !isClosing else { return }
        closure = state.contains(.isLingering) ? .local : reason
        beginClose()
    }

    public override func handleClosed() {
        chunks = []
        chunkBytes = 0
        tls = nil
        let handler = handler
        self.handler = nil
        handler?.closed(closure)
    }

    // MARK: Facts

    /// Bounds what the kernel buffers for a slow reader (`SO_SNDBUF`; Linux doubles it).
    public func limitSendBuffer(bytes: Int32) {
        var value = bytes
        if !isClosing { uv_send_buffer_size(raw, &value) }
    }
}
