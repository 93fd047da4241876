import EventLoop
import Models

/// The clients that only their rate keeps back, so that time alone makes room. It looks at them 20 times a second, and has no
/// timer while there are none. Loop thread only.
final class Pacing {
    static let period = Duration.milliseconds(50)

    private let loop: EventLoop
    private var names: [LocalConnection] = []
    private var timer: LoopTimer?

    init(loop: EventLoop) { self.loop = loop }

    /// Adds a client. `isStillWaiting` is called for it until it answers false.
    func add(_ name: LocalConnection, _ isStillWaiting: @escaping (LocalConnection) -> Bool) {
        names.append(name)
        guard timer == nil else { return }
        timer = loop.timer(after: Self.period, every: Self.period) { [weak self] in self?.look(isStillWaiting) }
    }

    private func look(_ isStillWaiting: (LocalConnection) -> Bool) {
        var waiting: [LocalConnection] = []
        swap(&waiting, &names)
        for name in waiting where isStillWaiting(name) { names.append(name) }
        guard names.isEmpty else { return }
        timer?.cancel()
        timer = nil
    }
}
