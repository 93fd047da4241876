import Centrifuge
import EventLoop
import HTTP
import ServiceRuntime
import Store

/// The end of a loop: listens no more, keeps the lease, and asks every client to come back, in random order and spread over
/// DRAIN_WINDOW, so that the others are not stormed; what is new goes to each until then. Loop thread only; used once.
final class Drain {
    /// How long the last streams may take to say farewell, and Redis to take their routes away. After it the sweep does what
    /// was left. With DRAIN_WINDOW it fits into DRAIN_TIMEOUT.
    static let farewellTime = Duration.seconds(4)
    /// How often some are asked to leave.
    private static let period = Duration.milliseconds(50)

    private let loop: EventLoop
    private let window: Duration
    private let clients: Clients
    private let removals: Removals
    private let lease: GatewayLease
    private let channels: ChannelStreams
    /// Called once all have gone and their routes with them, or were given up.
    private let completion: () -> Void
    private var isDone = false

    init(
        loop: EventLoop, window: Duration, clients: Clients, removals: Removals, lease: GatewayLease, channels: ChannelStreams,
        completion: @escaping () -> Void
    ) {
        self.loop = loop
        self.window = window
        self.clients = clients
        self.removals = removals
        self.lease = lease
        self.channels = channels
        self.completion = completion
    }

    /// To be called when nobody is let in any more. Ends at once if there are no clients.
    func begin() {
        lease.drains()
        var places = (0..<clients.extent).filter { clients[$0] != nil }
        places.shuffle()
        if places.isEmpty { return waitForLast() }
        let pace = DrainPace(count: places.count, window: window.wholeMilliseconds)
        let began = loop.now
        var timer: LoopTimer?
        let step = { [self] in
            let left = pace.count - pace.due(elapsed: loop.now - began)
            while places.count > left { clients[places.removeLast()]?.disconnect(.shutdown) }
            guard places.isEmpty else { return }
            timer?.cancel()
            timer = nil
            // Who was let in just before and has got a place since.
            for place in 0..<clients.extent { clients[place]?.disconnect(.shutdown) }
            waitForLast()
        }
        timer = loop.timer(after: Self.period, every: Self.period, step)
    }

    /// Streams that still say farewell, and removals under way. Those that wait for a Redis that is away are left to
    /// the sweep: this process's lease ends with it.
    private func waitForLast() {
        loop.timer(after: Self.farewellTime) { self.end() }
        clients.onStreamClosed = { self.check() }
        removals.onAnswer = { self.check() }
        check()
    }

    private func check() {
        if clients.openStreams == 0, removals.isSettled { end() }
    }

    private func end() {
        guard !isDone else { return }
        isDone = true
        clients.onStreamClosed = nil
        removals.onAnswer = nil
        guard lease.canRead else { return completion() }
        channels.forgetAll(at: lease.instance) { _ in }
        lease.withdraw(completion)
    }
}
