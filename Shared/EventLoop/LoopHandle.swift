package import CUV

/// What libuv calls a handle: a timer, a stream, a watched descriptor. It lives from its opening to the turn after `close`,
/// kept alive by libuv in between, so its owner may forget it. Loop thread only.
open class LoopHandle {
    public let loop: EventLoop
    /// The C struct; freed by the close callback, so it must not be touched after `isClosing`.
    package let memory: UnsafeMutableRawPointer
    public private(set) final var isClosing = false

    package init(loop: EventLoop, type: uv_handle_type) {
        loop.assertCurrent()
        self.loop = loop
        memory = .allocate(byteCount: uv_handle_size(type), alignment: 16)
    }

    /// To be called once, right after a `uv_*_init` that succeeded: from here on libuv owns a reference.
    package final func attach() {
        // Retained: balanced by the release in the close callback.
        raw.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    /// To be called when the `uv_*_init` failed, instead of `attach`.
    package final func abandon() {
        isClosing = true
        memory.deallocate()
    }

    package final var raw: UnsafeMutablePointer<uv_handle_t> { memory.assumingMemoryBound(to: uv_handle_t.self) }

    /// The object behind a C handle; a borrowed reference, valid while the handle is open.
    package static func of<Handle: LoopHandle>(_ data: UnsafeMutableRawPointer?, as: Handle.Type) -> Handle {
        // Set by `attach` to the very object, whose class the caller's own callback knows.
        unsafeDowncast(Unmanaged<LoopHandle>.fromOpaque(data!).takeUnretainedValue(), to: Handle.self)
    }

    /// Starts closing; a second call does nothing. `handleClosed` follows in this or the next turn.
    package final func beginClose() {
        guard !isClosing else { return }
        isClosing = true
        uv_close(raw) { raw in
            guard let raw, let data = raw.pointee.data else { return }
            // Takes back the reference that `attach` gave to libuv.
            let handle = Unmanaged<LoopHandle>.fromOpaque(data).takeRetainedValue()
            handle.memory.deallocate()
            handle.handleClosed()
        }
    }

    /// The last call for this handle.
    open func handleClosed() {}
    /// A turn in which the handle asked for it (`EventLoop.atTurnEnd`) is over.
    open func turnEnded() {}
    /// The loop stops: the handle closes.
    open func loopStopped() { beginClose() }
}

/// A timer. One that does not repeat closes itself after it fired.
public final class LoopTimer: LoopHandle {
    private var body: (() -> Void)?
    private let repeats: Bool

    fileprivate init(loop: EventLoop, after: Duration, every: Duration?, body: @escaping () -> Void) {
        self.body = body
        repeats = every != nil
        super.init(loop: loop, type: UV_TIMER)
        let timer = memory.assumingMemoryBound(to: uv_timer_t.self)
        uv_timer_init(loop.raw, timer)
        attach()
        uv_timer_start(
            timer, { LoopHandle.of($0!.pointee.data, as: LoopTimer.self).fire() }, after.wholeMilliseconds,
            every.map { max(1, $0.wholeMilliseconds) } ?? 0)
    }

    private func fire() {
        let body = body
        if !repeats { cancel() }
        body?()
    }

    /// It will not fire any more. A second call does nothing.
    public func cancel() {
        body = nil
        beginClose()
    }

    public override func handleClosed() { body = nil }
}

/// A descriptor that is watched; the descriptor stays its owner's and must be closed only after `close()` here.
public final class LoopPoll: LoopHandle {
    /// What to watch for, and what happened.
    public struct Events: OptionSet, Sendable {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }
        public static let readable = Events(rawValue: 1)
        public static let writable = Events(rawValue: 2)
    }

    private var body: ((Events) -> Void)?

    fileprivate init?(loop: EventLoop, descriptor: Int32, events: Events, body: @escaping (Events) -> Void) {
        self.body = body
        super.init(loop: loop, type: UV_POLL)
        guard uv_poll_init(loop.raw, memory.assumingMemoryBound(to: uv_poll_t.self), descriptor) == 0 else {
            abandon()
            return nil
        }
        attach()
        watch(events)
    }

    /// Watches for these events from now on; none pauses the watch.
    public func watch(_ events: Events) {
        guard !isClosing else { return }
        let poll = memory.assumingMemoryBound(to: uv_poll_t.self)
        if events.isEmpty {
            uv_poll_stop(poll)
            return
        }
        uv_poll_start(poll, events.rawValue) { poll, status, events in
            let me = LoopHandle.of(poll!.pointee.data, as: LoopPoll.self)
            // An error, for instance a pipe without its other end, shows at the next read or write: let the owner try.
            me.body?(status < 0 ? [.readable, .writable] : Events(rawValue: events))
        }
    }

    public func close() {
        body = nil
        beginClose()
    }
}

/// A signal that is caught on the loop instead of ending the process.
public final class LoopSignal: LoopHandle {
    private var body: (() -> Void)?

    fileprivate init(loop: EventLoop, number: Int32, body: @escaping () -> Void) {
        self.body = body
        super.init(loop: loop, type: UV_SIGNAL)
        let signal = memory.assumingMemoryBound(to: uv_signal_t.self)
        uv_signal_init(loop.raw, signal)
        attach()
        uv_signal_start(signal, { signal, _ in LoopHandle.of(signal!.pointee.data, as: LoopSignal.self).body?() }, number)
    }

    public func close() {
        body = nil
        beginClose()
    }
}

extension EventLoop {
    /// Calls `body` after `after`, then every `every` if given (at least 1 ms apart).
    @discardableResult
    public func timer(after: Duration, every: Duration? = nil, _ body: @escaping () -> Void) -> LoopTimer {
        LoopTimer(loop: self, after: after, every: every, body: body)
    }

    /// Watches a descriptor, level-triggered; `nil` if the kernel cannot watch it.
    public func poll(
        descriptor: Int32, events: LoopPoll.Events = .readable, _ body: @escaping (LoopPoll.Events) -> Void
    ) -> LoopPoll? {
        LoopPoll(loop: self, descriptor: descriptor, events: events, body: body)
    }

    /// Calls `body` for each such signal of the process.
    @discardableResult
    public func onSignal(_ number: Int32, _ body: @escaping () -> Void) -> LoopSignal {
        LoopSignal(loop: self, number: number, body: body)
    }
}

extension Duration {
    /// Rounded up, never negative; at most what fits.
    public var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000)
        return overflow ? UInt64.max / 2 : whole &+ UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
