import Models
import ServiceRuntime
import Store

/// What is to be removed from Redis.
enum Removal {
    /// The route of a connection.
    case route(ConnectionID, of: PersonID)
    case watcher(WatcherRemoval)
}

/// A connection that watches a channel no more. If the connection is nil, no connection of the instance watches it.
struct WatcherRemoval {
    var channel: ChannelID
    var instance: InstanceID
    var connection: ConnectionID?
    /// What the other watchers are told about the one that leaves.
    var info: [UInt8]
}

/// The owner of the watchers of channels, as far as removals need it.
protocol WatcherKeeper: AnyObject {
    /// Whether the same connection watches the channel again, so that it must not be removed.
    func isNotedAgain(_ removal: WatcherRemoval) -> Bool
    /// Removes a watcher from Redis. `done` is told whether that was done.
    func unwatch(_ removal: WatcherRemoval, _ done: @escaping (Bool) -> Void)
}

/// Removes routes and watchers from Redis. A removal that fails is tried again until it succeeds ("Compare before you remove").
/// Loop thread only.
final class Removals {
    private var queue = RemovalQueue<Removal>()
    private let lease: GatewayLease
    private let routes: Routes
    private let metrics: GatewayMetrics
    weak var watchers: (any WatcherKeeper)?
    /// Called when a removal was answered.
    var onAnswer: (() -> Void)?

    init(lease: GatewayLease, routes: Routes, metrics: GatewayMetrics) {
        self.lease = lease
        self.routes = routes
        self.metrics = metrics
    }

    var isSettled: Bool { queue.isSettled(isUp: lease.isStoreUp) }

    func remove(_ removal: Removal) {
        switch queue.remove(removal, isUp: lease.isStoreUp) {
        case .send: send(removal)
        case .wait(let letGo): noteWaiting(letGo: letGo)
        }
    }

    /// Tries again what has failed. Called once a second, and when Redis has come back.
    func retry() {
        let due = queue.due(isUp: lease.isStoreUp)
        guard !due.isEmpty else { return }
        for removal in due {
            if case .watcher(let watcher) = removal, watchers?.isNotedAgain(watcher) == true { continue }
            remove(removal)
        }
        noteWaiting(letGo: 0)
    }

    private func send(_ removal: Removal) {
        switch removal {
        case .route(let connection, let person):
            routes.unregister(connection, of: person) { [self] result in
                if case .success = result { answered(removal, isDone: true) } else { answered(removal, isDone: false) }
            }
        case .watcher(let watcher):
            watchers?.unwatch(watcher) { [self] in answered(removal, isDone: $0) }
        }
    }

    private func answered(_ removal: Removal, isDone: Bool) {
        let letGo = queue.answered(removal, isDone: isDone)
        if !isDone { noteWaiting(letGo: letGo) }
        onAnswer?()
    }

    private func noteWaiting(letGo: Int) {
        metrics.registry.removalsDropped.increment(by: letGo)
        metrics.registry.removalsWaiting.set(queue.waiting)
    }
}
