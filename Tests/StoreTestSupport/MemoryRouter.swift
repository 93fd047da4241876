public import EventLoop
public import Models
public import Store

/// A router in memory: it keeps the promises of `Router` without a server. Loop thread only.
public final class MemoryRouter: Router {
    private let loop: EventLoop
    /// The latest number of each instance that has a lease.
    private var numbers: [InstanceID: UInt64] = [:]
    private var subscriptions: [MemorySubscription] = []
    private let outage = StoreError.outage("not connected")

    /// Whether it is out of reach: publishing fails, and no subscription stands. What has come until then stays.
    public var isAway = false {
        didSet { for subscription in subscriptions where isAway != oldValue { subscription.reach(isAway ? .down(reason: "away") : .up) } }
    }
    /// How often a subscription was asked whether its connection lives.
    public private(set) var probes = 0

    public init(loop: EventLoop) { self.loop = loop }

    /// What enrolling a lease does: the instance's numbers begin.
    public func begin(_ instance: InstanceID) { numbers[instance] = 0 }
    /// What withdrawing a lease does: the instance's numbers end.
    public func end(_ instance: InstanceID) { numbers[instance] = nil }
    /// What the renewal of a lease tells; nil without one.
    public func latest(of instance: InstanceID) -> UInt64? { numbers[instance] }

    public func publish(
        _ lines: [UInt8], to instance: InstanceID, reply: @escaping (Result<Published, StoreError>) -> Void
    ) {
        loop.assertCurrent()
        guard !isAway else { return loop.atTurnEnd { reply(.failure(self.outage)) } }
        guard let latest = numbers[instance] else {
            return loop.atTurnEnd { reply(.success(Published(sequence: 0, receivers: 0))) }
        }
        let number = latest + 1
        numbers[instance] = number
        let listening = subscriptions.filter { $0.instance == instance && $0.isUp }
        let message = GatewayMessage.head(sequence: number) + lines
        loop.atTurnEnd {
            for subscription in listening where subscription.isUp { subscription.onBatch?(message) }
            reply(.success(Published(sequence: number, receivers: listening.count)))
        }
    }

    public func subscription(to instance: InstanceID) -> any BatchSubscription { MemorySubscription(instance, self) }

    fileprivate func add(_ subscription: MemorySubscription) {
        subscriptions.append(subscription)
        loop.atTurnEnd { subscription.reach(self.isAway ? .down(reason: "away") : .up) }
    }

    fileprivate func remove(_ subscription: MemorySubscription) { subscriptions.removeAll { $0 === subscription } }

    fileprivate func wasProbed() { probes += 1 }
}

private final class MemorySubscription: BatchSubscription {
    let instance: InstanceID
    private let router: MemoryRouter
    private var state: StoreState?
    private var isClosed = false
    var onBatch: (([UInt8]) -> Void)?
    var onState: ((StoreState) -> Void)?
    var isUp: Bool { state == .up }

    init(_ instance: InstanceID, _ router: MemoryRouter) {
        self.instance = instance
        self.router = router
    }

    func start() { router.add(self) }

    func probe() { router.wasProbed() }

    func close() {
        isClosed = true
        state = nil
        onBatch = nil
        onState = nil
        router.remove(self)
    }

    func reach(_ now: StoreState) {
        guard !isClosed, state != now else { return }
        state = now
        onState?(now)
    }
}
