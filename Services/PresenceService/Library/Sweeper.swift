import EventLoop
import Models
import ServiceRuntime
import ServiceStore
import Store

/// Looks at the gateways' leases and sweeps those that are dead. Loop thread only.
final class Sweeper {
    private let loop: EventLoop
    private let store: StoreConnection
    private let routes: Routes
    private let gateways: Gateways
    private let router: any Router
    private let channels: ChannelStreams
    private let shards: Int
    private let interval: Duration
    private let log: Log
    private var watch: LeaseWatch
    private var timer: LoopTimer?
    private var isLooking = false
    /// Those that are being condemned or swept.
    private var sweeps: [InstanceID: Sweep?] = [:]
    private let gatewaysSwept: Counter
    private let routesSwept: Counter

    /// At most so many gateways are swept at once; the others wait for a later look.
    private static let maximumSweeps = 8

    init(loop: EventLoop, store: StoreConnection, leaseLength: Duration, log: Log, metrics: Metrics) {
        self.loop = loop
        self.store = store
        routes = store.routes
        gateways = store.gateways
        router = store.router
        channels = store.channels(ChannelLimits(), inbox: InboxLimits())
        shards = store.shards
        interval = leaseLength / 6
        self.log = log
        let length = UInt64(max(1, leaseLength / .milliseconds(1)))
        watch = LeaseWatch(length: length, patience: length / 2)
        gatewaysSwept = metrics.counter(
            "carillon_presence_gateways_swept_total", "Dead gateways whose routes were removed.")
        routesSwept = metrics.counter(
            "carillon_presence_routes_swept_total", "Routes that dead gateways had left behind.")
        metrics.gauge("carillon_presence_gateways", "Gateways whose lease is held.") { [unowned self] in
            Double(self.watch.living)
        }
    }

    func start() {
        timer = loop.timer(after: .zero, every: interval) { self.look() }
    }

    func stop() {
        timer?.cancel()
        timer = nil
        for sweep in sweeps.values { sweep?.cancel() }
        sweeps = [:]
    }

    /// The store is away. A counter that stands still now may stand still for that reason.
    func storeIsAway() { watch.failed() }

    private func look() {
        guard !isLooking else { return }
        guard store.isUp else { return watch.failed() }
        isLooking = true
        let asked = loop.now
        gateways.look { result in
            self.isLooking = false
            guard self.timer != nil else { return }
            switch result {
            case .failure: self.watch.failed()
            case .success(let leases):
                for verdict in self.watch.answered(leases, asked: asked, now: self.loop.now) { self.obey(verdict) }
            }
        }
    }

    private func obey(_ verdict: LeaseWatch.Verdict) {
        guard sweeps.count < Self.maximumSweeps else { return }
        switch verdict {
        case .dead(let instance, let count): condemn(instance, count)
        case .condemned(let instance): if sweeps[instance] == nil { sweep(instance) }
        }
    }

    private func condemn(_ instance: InstanceID, _ count: UInt64) {
        guard sweeps[instance] == nil else { return }
        sweeps[instance] = .some(nil)
        gateways.condemn(instance, ifCountIs: count) { result in
            guard self.timer != nil else { return }
            self.sweeps[instance] = nil
            // Otherwise it has just renewed, or the store did not answer: the next look tells.
            guard case .success(true) = result else { return }
            self.log.warning("a gateway is dead", ["gateway": .configured(instance.text)])
            self.sweep(instance)
        }
    }

    private func sweep(_ instance: InstanceID) {
        let sweep = Sweep(
            loop: loop, routes: routes, gateways: gateways, router: router, channels: channels, shards: shards, pause: interval * 2,
            instance: instance
        ) { result in
            self.sweeps[instance] = nil
            switch result {
            case .failure(let error):
                self.log.warning(
                    "sweeping a gateway is put off", ["gateway": .configured(instance.text), "reason": .error(error)])
            case .success(let count):
                self.gatewaysSwept.increment()
                self.routesSwept.increment(by: count)
                self.log.info("swept a gateway", ["gateway": .configured(instance.text), "routes": .count(count)])
            }
        }
        sweeps[instance] = sweep
        sweep.start()
    }
}
