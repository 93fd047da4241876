internal import EventLoop

/// Asks a connection that has been quiet for a while whether it still lives: a stopped server and a dead link are silent,
/// and without a command under way nothing would tell them from peace. Loop thread only.
final class IdlePing {
    private let loop: EventLoop
    private let period: Duration?
    private var timer: LoopTimer?

    /// - Parameter period: quiet for this long, it is asked; from then on a command's time-out counts. Nil: it never is.
    init(loop: EventLoop, period: Duration?) {
        self.loop = loop
        self.period = period
    }

    /// - Parameter question: the command that is sent.
    func start(_ connection: RedisConnection, asking question: @escaping () -> [String] = { ["PING"] }) {
        stop()
        guard let period else { return }
        let quiet = UInt64(period / .milliseconds(1))
        timer = loop.timer(after: period / 2, every: period / 2) { [loop] in
            guard connection.commandsInFlight == 0, loop.now >= connection.lastHeard + quiet else { return }
            connection.send(question()) { _ in }
        }
    }

    func stop() {
        timer?.cancel()
        timer = nil
    }
}
