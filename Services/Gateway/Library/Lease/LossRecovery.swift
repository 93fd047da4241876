import EventLoop
import ServiceRuntime

/// What a loop does when its lease tells it that something was away, and what it does once a second. Loop thread only.
final class LossRecovery {
    private let loop: EventLoop
    private let lease: GatewayLease
    private let clients: Clients
    private let removals: Removals
    private let sessions: Sessions
    private let channels: Channels
    private let metrics: GatewayMetrics
    private var tick: LoopTimer?

    init(
        loop: EventLoop, lease: GatewayLease, clients: Clients, removals: Removals, sessions: Sessions, channels: Channels,
        metrics: GatewayMetrics
    ) {
        self.loop = loop
        self.lease = lease
        self.clients = clients
        self.removals = removals
        self.sessions = sessions
        self.channels = channels
        self.metrics = metrics
    }

    func start() {
        tick = loop.timer(after: .seconds(1), every: .seconds(1)) { [weak self] in self?.everySecond() }
    }

    func stop() { tick?.cancel() }

    private func everySecond() {
        clients.turn()
        sessions.retryStalled()
        channels.comparison.retry()
        removals.retry()
    }
}

extension LossRecovery: LeaseFollower {
    var connectionCount: Int { clients.count }

    func redisIsUp() { removals.retry() }

    func compareAll() {
        guard lease.canRead else { return }
        metrics.delivery.reconciliations.increment()
        sessions.compareAll()
        channels.compareAll()
    }

    func lossNoticed() {
        metrics.delivery.gaps.increment()
        compareAll()
    }

    func stopComparing() { sessions.stopComparing() }
}
