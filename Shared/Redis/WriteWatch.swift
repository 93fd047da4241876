internal import EventLoop

/// Whether a Redis that answers takes writes.
public enum RedisWrites: Equatable, Sendable {
    case taken
    /// Reads go on; whatever is to be written waits.
    case refused(RedisError)
}

/// Notices by refused commands that Redis takes no writes, and by a write that changes nothing that it takes them again.
/// Loop thread only.
final class WriteWatch {
    var onChange: ((RedisWrites) -> Void)?
    private(set) var writes = RedisWrites.taken
    /// What a quiet connection is asked: as a ping, and a refusal at once where Redis takes no writes.
    var question: [String] { mayWrite ? ["SETRANGE", key, "0", ""] : ["PING"] }

    private let loop: EventLoop
    private let key: String
    private var connection: RedisConnection?
    private var timer: LoopTimer?
    /// In the loop's ms.
    private var lastRefusal: UInt64 = 0
    /// False once this user was told that it may not use the command that changes nothing.
    private var mayWrite = true

    /// How often it is asked, and how long nothing must have been refused before it is.
    static let interval = Duration.seconds(1)

    /// - Parameter key: one that this user may write; `SETRANGE` of no bytes neither makes nor changes it.
    init(loop: EventLoop, key: String) {
        self.loop = loop
        self.key = key
    }

    func start(_ connection: RedisConnection) {
        self.connection = connection
        connection.onError = { [unowned self] text in self.failed(text) }
    }

    /// The connection is gone: what holds now the next one tells. `onChange` is not called.
    func stop() {
        connection = nil
        timer?.cancel()
        timer = nil
        writes = .taken
    }

    private func failed(_ text: String) {
        let error = RedisError.server(text)
        if text.hasPrefix("NOPERM"), text.lowercased().contains("setrange") { mayWrite = false }
        guard error.refusesWrites else { return }
        lastRefusal = loop.now
        guard writes == .taken else { return }
        writes = .refused(error)
        timer = loop.timer(after: Self.interval, every: Self.interval) { [unowned self] in self.ask() }
        onChange?(writes)
    }

    private func ask() {
        guard let connection, loop.now >= lastRefusal + UInt64(Self.interval / .milliseconds(1)) else { return }
        connection.send(question) { [weak self, weak connection] result in
            guard let self, let connection, self.connection === connection, self.writes != .taken else { return }
            if case .failure(let error) = result, error.refusesWrites || error == .disconnected || error == .timedOut { return }
            self.timer?.cancel()
            self.timer = nil
            self.writes = .taken
            self.onChange?(.taken)
        }
    }
}
