internal import CUV
internal import Glibc
internal import Synchronization

/// A thread for C calls that block, so that a loop never does. Work runs in the order it was given.
public final class WorkerThread: Sendable {
    private struct State {
        var work: [@Sendable () -> Void] = []
        var isStopped = false
    }

    private let state = Mutex(State())
    private let available = ThreadSemaphore()

    /// Starts the thread; it ends after `stop`.
    public init(name: String) {
        var thread = pthread_t()
        // Retained for the thread's life; the thread takes it back at its start.
        let me = Unmanaged.passRetained(Start(worker: self, name: name)).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { raw in
                let start = Unmanaged<Start>.fromOpaque(raw!).takeRetainedValue()
                start.name.withCString { carillon_name_thread($0) }
                start.worker.work()
                return nil
            }, me)
        precondition(status == 0, "no thread could be made: \(String(cString: strerror(status)))")
        pthread_detach(thread)
    }

    private final class Start: Sendable {
        let worker: WorkerThread
        let name: String
        init(worker: WorkerThread, name: String) {
            self.worker = worker
            self.name = name
        }
    }

    /// Runs `work` on the thread after all that was given before. After `stop` it is dropped. From any thread.
    public func run(_ work: @escaping @Sendable () -> Void) {
        let accepted = state.withLock { state in
            if !state.isStopped { state.work.append(work) }
            return !state.isStopped
        }
        if accepted { available.signal() }
    }

    /// Ends the thread once what it was given before is done. From any thread; a second call does nothing.
    public func stop() {
        state.withLock { $0.isStopped = true }
        available.signal()
    }

    private func work() {
        while true {
            available.wait()
            let next = state.withLock { state in
                (body: state.work.isEmpty ? nil : state.work.removeFirst(), isStopped: state.isStopped)
            }
            if let body = next.body {
                body()
            } else if next.isStopped {
                return
            }
        }
    }
}

/// A POSIX semaphore: `signal` from any thread, `wait` blocks the calling one.
private final class ThreadSemaphore: @unchecked Sendable {
    // @unchecked: sem_t is made to be shared between threads; its memory lives as long as this object.
    private let raw: UnsafeMutablePointer<sem_t>

    init() {
        raw = .allocate(capacity: 1)
        sem_init(raw, 0, 0)
    }

    deinit {
        sem_destroy(raw)
        raw.deallocate()
    }

    func signal() { sem_post(raw) }

    func wait() {
        while sem_wait(raw) != 0 {}
    }
}
