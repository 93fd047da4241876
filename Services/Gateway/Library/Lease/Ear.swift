import EventLoop
import Models
import Redis
import ServiceRuntime
import ServiceStore
import Settings
import Store

/// The subscription to this instance's channel, and the one that is to take its place. Loop thread only.
final class Ear {
    private let loop: EventLoop
    private let endpoint: RedisEndpoint
    private let limits: RedisLimits
    private let keyspace: Keyspace
    /// Where it says whether it hears.
    private let source: DependencySource
    private var current: RedisSubscriber?
    /// One that takes the place of `current` as soon as it stands.
    private var next: RedisSubscriber?
    /// One message of the channel. To be set before the first `listen`.
    var onMessage: (([UInt8]) -> Void)?
    /// It hears from now on; what was published before is not heard.
    var onUp: (() -> Void)?

    init(loop: EventLoop, endpoint: RedisEndpoint, settings: RedisSettings, keyspace: Keyspace, source: DependencySource) {
        self.loop = loop
        self.endpoint = endpoint
        var limits = RedisLimits(settings)
        // The lease's renewal tells of what this connection did not bring: it need not be asked whether it lives.
        limits.idlePing = nil
        self.limits = limits
        self.keyspace = keyspace
        self.source = source
    }

    var isUp: Bool { current?.isUp == true }

    /// Subscribes. Where a subscription stands already, it is heard until the new one does, so that no newcomer need wait; what
    /// both hear is dropped the second time.
    func listen(to instance: InstanceID) {
        next?.close()
        let subscriber = RedisSubscriber(loop: loop, endpoint: endpoint, limits: limits, channel: keyspace.channel(of: instance))
        next = subscriber
        if !isUp { takeNext() }
        subscriber.onMessage = onMessage
        subscriber.onState = { [weak self, weak subscriber] state in
            guard let self else { return }
            if self.next === subscriber {
                guard state == .up else { return }
                self.takeNext()
            }
            self.source.report(state)
            if state == .up { self.onUp?() }
        }
        subscriber.start()
    }

    private func takeNext() {
        current?.close()
        current = next
        next = nil
    }

    /// Asks whether the connection lives; one that does not is replaced.
    func probe() { current?.probe() }

    /// Hears nothing any more.
    func close() {
        current?.close()
        next?.close()
        current = nil
        next = nil
    }
}
