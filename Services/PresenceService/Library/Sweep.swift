import EventLoop
import Models
import Store

/// Removes what one condemned gateway owned: its routes on every shard, its watchers of channels, then its lease. Loop
/// thread only.
///
/// It goes over all of it twice, with a pause between: a gateway that was only asleep may have registered someone at the
/// moment it was condemned, and knows of that only at its next renewal. The lease goes last, so that whoever
/// finds it after a crash in the middle sweeps again. Two may sweep the same gateway at once; each removes what is left.
final class Sweep {
    /// Bytes of one batch for a gateway; one line more may pass it.
    private static let batchBytes = 256 << 10
    /// Routes of a shard, or watchers of a channel, that one step removes.
    static let portion = 500

    private let loop: EventLoop
    private let routes: any RouteRegistry
    private let gateways: any LeaseRegistry
    private let router: any Router
    private let channels: any WatcherRegistry
    private let shards: Int
    private let pause: Duration
    let instance: InstanceID
    private var removed = 0
    private var shard = 0
    private var pass = 1
    private var completion: ((Result<Int, StoreError>) -> Void)?

    /// - Parameter completion: how many routes were removed, or why it stopped; the lease is then still there.
    init(
        loop: EventLoop, routes: any RouteRegistry, gateways: any LeaseRegistry, router: any Router,
        channels: any WatcherRegistry, shards: Int, pause: Duration, instance: InstanceID,
        completion: @escaping (Result<Int, StoreError>) -> Void
    ) {
        self.loop = loop
        self.routes = routes
        self.gateways = gateways
        self.router = router
        self.channels = channels
        self.shards = shards
        self.pause = pause
        self.instance = instance
        self.completion = completion
    }

    func start() { step() }

    /// The owner does not wait for it any more: the completion is not called, and the sweep ends at the next reply.
    func cancel() { completion = nil }

    private func step() {
        guard completion != nil else { return }
        guard shard < shards else { return sweepChannels() }
        routes.sweep(instance, shard: shard, limit: Self.portion) { result in
            switch result {
            case .failure(let error): return self.finish(.failure(error))
            case .success(0): self.shard += 1
            case .success(let count): self.removed += count
            }
            self.step()
        }
    }

    private func sweepChannels() {
        channels.sweep(instance, limit: Self.portion) { result in
            guard self.completion != nil else { return }
            switch result {
            case .failure(let error): self.finish(.failure(error))
            case .success([]): self.endPass()
            case .success(let swept):
                self.tell(swept)
                self.sweepChannels()
            }
        }
    }

    /// Tells the listeners at other gateways who has left. It is a hint, so it is sent only if one step took all of them.
    private func tell(_ swept: [SweptWatchers]) {
        var batches: [InstanceID: GatewayBatch] = [:]
        for each in swept where each.isComplete && !each.infos.isEmpty {
            for listener in each.listeners {
                var batch = batches.removeValue(forKey: listener) ?? GatewayBatch()
                for info in each.infos {
                    batch.presence(each.channel, joins: false, info)
                    if batch.lines.count >= Self.batchBytes { publish(&batch, to: listener) }
                }
                batches[listener] = batch
            }
        }
        for (listener, batch) in batches where !batch.isEmpty {
            var batch = batch
            publish(&batch, to: listener)
        }
    }

    private func publish(_ batch: inout GatewayBatch, to listener: InstanceID) {
        router.publish(batch.take(), to: listener) { _ in }
    }

    private func endPass() {
        guard pass == 1 else { return withdraw() }
        pass = 2
        shard = 0
        loop.timer(after: pause) { self.step() }
    }

    private func withdraw() {
        gateways.withdraw(instance) { result in
            switch result {
            case .failure(let error): self.finish(.failure(error))
            case .success: self.finish(.success(self.removed))
            }
        }
    }

    private func finish(_ result: Result<Int, StoreError>) {
        let completion = completion
        self.completion = nil
        completion?(result)
    }
}
