package import CUV
internal import Glibc
internal import Synchronization

/// One thread in `uv_run`: its streams, timers, wake-ups and signals, and a `SerialExecutor`, so that an actor can live on it.
///
/// Everything but `post`, `stop`, `enqueue` and `isCurrent` belongs to the loop's own thread; debug builds assert it.
/// A callback must never block: what does goes to a `WorkerThread`.
public final class EventLoop: SerialExecutor, @unchecked Sendable {
    // @unchecked: `mailbox` and `owner` are guarded; all else is touched by the loop's thread alone (`assertCurrent`).

    /// For log lines and the thread's name in `top -H`; at most 15 bytes reach the kernel.
    public let name: String

    /// libuv's loop, for the drivers of this package. Valid until `run` has returned.
    package let raw: UnsafeMutablePointer<uv_loop_t>
    /// One receive buffer for all streams of the loop: bytes in it are valid during one callback only.
    package let receiveBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    /// Where a turn's small chunks for one stream are gathered, so that they leave in one write.
    package let gatherBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    /// What a TLS stream has decrypted, while its handler reads it: the handler may write meanwhile, and have that gathered.
    package let plaintextBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 16)

    private enum Entry {
        case job(UnownedJob)
        case body(@Sendable () -> Void)
    }
    private struct Mailbox {
        var entries: [Entry] = []
        /// True from the first entry until the loop has seen the mailbox empty: one wake-up serves them all.
        var isSignalled = false
        /// The loop has ended: there is no descriptor left to wake it by.
        var isClosed = false
    }

    private let wake: UnsafeMutablePointer<uv_async_t>
    private let prepare: UnsafeMutablePointer<uv_prepare_t>
    private let check: UnsafeMutablePointer<uv_check_t>
    private let mailbox = Mutex(Mailbox())
    private let owner = Atomic<UInt>(0)
    private var turnEndHandles: [LoopHandle] = []
    private var turnEndBodies: [() -> Void] = []

    /// Makes a loop that does not turn yet. Its objects may be made only once it turns, on its thread (`post`).
    public init(name: String) {
        self.name = name
        raw = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        prepare = .allocate(capacity: 1)
        check = .allocate(capacity: 1)
        let status = uv_loop_init(raw)
        precondition(status == 0, "uv_loop_init needs two descriptors: \(String(cString: uv_strerror(status)))")
        // Unretained: the loop outlives its own handles, which `run` closes before it returns.
        let me = Unmanaged.passUnretained(self).toOpaque()
        raw.pointee.data = me
        uv_async_init(raw, wake) { EventLoop.of($0!.pointee.data).drainMailbox() }
        uv_prepare_init(raw, prepare)
        uv_check_init(raw, check)
        wake.pointee.data = me
        prepare.pointee.data = me
        check.pointee.data = me
        uv_prepare_start(prepare) { EventLoop.of($0!.pointee.data).endTurn() }
        uv_check_start(check) { EventLoop.of($0!.pointee.data).endTurn() }
    }

    deinit {
        raw.deallocate()
        wake.deallocate()
        prepare.deallocate()
        check.deallocate()
        receiveBuffer.deallocate()
        gatherBuffer.deallocate()
        plaintextBuffer.deallocate()
    }

    private static func of(_ data: UnsafeMutableRawPointer?) -> EventLoop {
        // Set in `init`, unretained: whoever turns the loop keeps it alive.
        Unmanaged<EventLoop>.fromOpaque(data!).takeUnretainedValue()
    }

    // MARK: Turning

    /// Turns the loop on the calling thread until `stop`; then closes what is still open on it. Call it once.
    public func run() {
        owner.store(UInt(pthread_self()), ordering: .releasing)
        uv_run(raw, UV_RUN_DEFAULT)
        closeEverything()
        owner.store(0, ordering: .releasing)
    }

    /// Turns the loop on a thread of its own.
    public func start() {
        let thread = WorkerThread(name: name)
        thread.run {
            self.run()
            thread.stop()
        }
    }

    /// Ends `run` after the current turn. From any thread; a second call does nothing.
    public func stop() {
        post { uv_stop(self.raw) }
    }

    private func closeEverything() {
        closeHandles()
        uv_run(raw, UV_RUN_NOWAIT)
        drainMailbox()
        // Released outside the lock: an object that a body holds may post as it is freed.
        let late = mailbox.withLock { mailbox in
            mailbox.isClosed = true
            defer { mailbox.entries = [] }
            return mailbox.entries
        }
        withExtendedLifetime(late) {}
        for own in [UnsafeMutableRawPointer(wake), UnsafeMutableRawPointer(prepare), UnsafeMutableRawPointer(check)] {
            uv_close(own.assumingMemoryBound(to: uv_handle_t.self), nil)
        }
        uv_run(raw, UV_RUN_NOWAIT)
        // The resolution of a name cannot be called off: its thread still writes to this loop. Its answer may open something
        // new, which is closed in its turn.
        while uv_loop_close(raw) == UV_EBUSY.rawValue {
            closeHandles()
            uv_run(raw, UV_RUN_ONCE)
        }
        turnEndBodies = []
        turnEndHandles = []
    }

    private func closeHandles() {
        uv_walk(
            raw,
            { handle, data in
                guard let handle, uv_is_closing(handle) == 0, handle.pointee.data != data else { return }
                // Every handle that is not the loop's own carries its `LoopHandle`, retained (see there).
                Unmanaged<LoopHandle>.fromOpaque(handle.pointee.data).takeUnretainedValue().loopStopped()
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    // MARK: From other threads

    /// Runs `body` on the loop's thread, after what was posted before it. From any thread. After `run` has ended it is dropped.
    public func post(_ body: @escaping @Sendable () -> Void) {
        append(.body(body))
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        append(.job(UnownedJob(job)))
    }

    private func append(_ entry: Entry) {
        mailbox.withLock { mailbox in
            guard !mailbox.isClosed else { return }
            mailbox.entries.append(entry)
            // This stands inside the lock: after it the loop may have ended, and with it the descriptor that wakes it.
            if !mailbox.isSignalled { uv_async_send(wake) }
            mailbox.isSignalled = true
        }
    }

    private func drainMailbox() {
        // A bounded number of rounds: jobs that make jobs must not keep the sockets waiting.
        for _ in 0..<64 {
            let entries = mailbox.withLock { mailbox in
                let taken = mailbox.entries
                mailbox.entries = []
                mailbox.isSignalled = !taken.isEmpty
                return taken
            }
            if entries.isEmpty { return }
            for entry in entries {
                switch entry {
                case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
                case .body(let body): body()
                }
            }
        }
        uv_async_send(wake)
    }

    /// True on the loop's own thread while it turns.
    public var isCurrent: Bool { owner.load(ordering: .acquiring) == UInt(pthread_self()) }

    /// Stops a debug build that enters the loop's objects from another thread.
    @inline(__always)
    public func assertCurrent() {
        assert(isCurrent, "this belongs to the thread of the loop \(name)")
    }

    public func checkIsolated() {
        precondition(isCurrent, "this belongs to the thread of the loop \(name)")
    }

    public func isIsolatingCurrentContext() -> Bool? { isCurrent }

    // MARK: Time and turns

    /// Milliseconds of a monotonic clock, read once a turn.
    public var now: UInt64 { uv_now(raw) }

    /// Nanoseconds of a monotonic clock, read now; for measuring. From any thread.
    public static func monotonicNanoseconds() -> UInt64 { uv_hrtime() }

    /// The same clock in milliseconds. From any thread.
    public static func monotonicMilliseconds() -> Int64 { Int64(clamping: uv_hrtime() / 1_000_000) }

    /// Milliseconds since 1970 of this machine's clock. From any thread.
    public static func wallClock() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// Runs `body` once when this turn's callbacks are done, before the loop waits again.
    public func atTurnEnd(_ body: @escaping () -> Void) {
        assertCurrent()
        turnEndBodies.append(body)
    }

    /// As `atTurnEnd`, without a closure: calls `turnEnded` of the handle.
    package func atTurnEnd(_ handle: LoopHandle) {
        turnEndHandles.append(handle)
    }

    private func endTurn() {
        // Bodies first: what they write to streams then leaves in this very turn.
        while !turnEndBodies.isEmpty || !turnEndHandles.isEmpty {
            let bodies = turnEndBodies
            turnEndBodies.removeAll(keepingCapacity: bodies.count < 1_024)
            for body in bodies { body() }
            let handles = turnEndHandles
            turnEndHandles.removeAll(keepingCapacity: true)
            for handle in handles { handle.turnEnded() }
        }
    }
}

/// An actor that lives on a loop: its isolated code runs on the loop's thread.
public protocol LoopActor: Actor {
    nonisolated var loop: EventLoop { get }
}

extension LoopActor {
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
}
