import Models
import ServiceRuntime
import Store

/// What is to be in Redis no more.
enum Removal {
    /// The route of a connection.
    case route(ConnectionID, of: PersonID)
    case watcher(WatcherRemoval)
}

/// A connection that is to be noted no more among a channel's watchers; nil connection: none of the instance's is.
struct WatcherRemoval {
    var channel: ChannelID
    var instance: InstanceID
    var connection: ConnectionID?
    /// What the others are told of who leaves.
    var info: [UInt8]
}

/// Who keeps the watchers of channels, as far as their removal goes.
protocol WatcherKeeper: AnyObject {
    /// The same connection watches the channel again: what was noted of it is right after all.
    func isNotedAgain(_ removal: WatcherRemoval) -> Bool
    /// Removes it from Redis. `done` is told whether that is so now.
    func unwatch(_ removal: WatcherRemoval, _ done: @escaping (Bool) -> Void)
}

/// Removes routes and watchers from Redis; what fails is tried again until it succeeds ("Compare before you remove"). Loop thread only.
final class Removals {
    private var queue = RemovalQueue<Removal>()
    private let lease: GatewayLease
    private let routes: Routes
    private let metrics: GatewayMetrics
    weak var watchers: (any WatcherKeeper)?
    /// Called when one has been answered.
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

    /// Once a second, and when Redis has come back.
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
