import Centrifuge
import EventLoop
import HTTP
import ServiceRuntime
import Store

/// The end of a loop. It keeps the lease and asks every client to come back, in random order and spread over DRAIN_WINDOW, so that
/// other gateways are not stormed. Until its turn a client is sent what is new. Loop thread only; used once.
final class Drain {
    /// How long the farewell of the last streams, and the removal of their routes, may take. The sweep does what is left after
    /// that. Together with DRAIN_WINDOW it fits into DRAIN_TIMEOUT.
    static let farewellTime = Duration.seconds(4)
    /// How often some clients are asked to leave.
    private static let period = Duration.milliseconds(50)

    private let loop: EventLoop
    private let window: Duration
    private let clients: Clients
    private let removals: Removals
    private let lease: GatewayLease
    private let channels: ChannelStreams
    /// Called once, when all clients and their routes have gone, or when the time for that is over.
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

    /// To be called when nobody is let in any more.
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
            // Clients that were let in just before the drain may have got a place since.
            for place in 0..<clients.extent { clients[place]?.disconnect(.shutdown) }
            waitForLast()
        }
        timer = loop.timer(after: Self.period, every: Self.period, step)
    }

    /// Waits for the farewell of streams, and for removals under way. Removals that wait for a Redis that is away are left to
    /// the sweep, because the lease of this process ends.
    private func waitForLast() {
        loop.timer(after: Self.farewellTime) { self.finish() }
        clients.onStreamClosed = { self.check() }
        removals.onAnswer = { self.check() }
        check()
    }

    private func check() {
        if clients.openStreams == 0, removals.isSettled { finish() }
    }

    private func finish() {
        guard !isDone else { return }
        isDone = true
        clients.onStreamClosed = nil
        removals.onAnswer = nil
        guard lease.canRead else { return completion() }
        channels.forgetAll(at: lease.instance) { _ in }
        lease.withdraw(completion)
    }
}
