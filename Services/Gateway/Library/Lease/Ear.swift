import Models
import ServiceRuntime
import ServiceStore
import Store

/// The subscription to this instance's batches, and the one that is to take its place. Loop thread only.
final class Ear {
    private let router: any Router
    /// Where it says whether it hears.
    private let source: DependencySource
    private var current: (any BatchSubscription)?
    /// One that takes the place of `current` as soon as it stands.
    private var next: (any BatchSubscription)?
    /// One batch, as it was published. To be set before the first `listen`.
    var onBatch: (([UInt8]) -> Void)?
    /// It hears from now on; what was published before is not heard.
    var onUp: (() -> Void)?

    init(router: any Router, source: DependencySource) {
        self.router = router
        self.source = source
    }

    var isUp: Bool { current?.isUp == true }

    /// Subscribes. Where a subscription stands already, it is heard until the new one does, so that no newcomer need wait; what
    /// both hear is dropped the second time.
    func listen(to instance: InstanceID) {
        next?.close()
        let subscription = router.subscription(to: instance)
        next = subscription
        if !isUp { takeNext() }
        subscription.onBatch = onBatch
        subscription.onState = { [weak self, weak subscription] state in
            guard let self else { return }
            if self.next === subscription {
                guard state == .up else { return }
                self.takeNext()
            }
            self.source.report(state)
            if state == .up { self.onUp?() }
        }
        subscription.start()
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
