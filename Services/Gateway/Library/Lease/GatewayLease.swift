import EventLoop
import Models
import ServiceRuntime
import ServiceStore
import Store

/// What a lease has its loop do.
protocol LeaseFollower: AnyObject {
    /// Connections that are held, for a line of the log.
    var connectionCount: Int { get }
    /// Redis has come back, and what follows for the lease is under way.
    func redisIsUp()
    /// Compares every session with its inbox.
    func compareAll()
    /// A batch was lost, or late.
    func lossNoticed()
    /// A comparison that is under way ends; the next one begins at the first session.
    func stopComparing()
}

/// Holds a gateway's lease: carries out what `LeaseMachine` decides. Loop thread only.
final class GatewayLease {
    /// How long a batch that the lease's renewal named may still be under way.
    static let batchGrace = Duration.milliseconds(250)

    private var machine: LeaseMachine
    private let ear: Ear
    private let loop: EventLoop
    private let store: StoreConnection
    private let gateways: Gateways
    private let interval: Duration
    /// Where it says whether Redis answers, and takes writes.
    private let source: DependencySource
    /// Nil before the store has told one.
    private var storeState: StoreState?
    private let log: Log
    private var timer: LoopTimer?
    private weak var follower: (any LeaseFollower)?

    init(
        of instance: InstanceID, loop: EventLoop, store: StoreConnection, gateways: Gateways, ear: Ear, interval: Duration,
        source: DependencySource, log: Log
    ) {
        machine = LeaseMachine(instance: instance)
        self.loop = loop
        self.store = store
        self.gateways = gateways
        self.ear = ear
        self.interval = interval
        self.source = source
        self.log = log
    }

    // MARK: What is so now

    var instance: InstanceID { machine.instance }
    var formerInstance: InstanceID? { machine.former }
    var epochNumber: UInt16 { machine.epochNumber }
    var isEnrolled: Bool { machine.isEnrolled }

    /// Redis answers. Whether it takes writes is another matter.
    var isStoreUp: Bool { store.isUp }

    /// Whether inboxes can be read; for that the gateway need not hear anything.
    var canRead: Bool { machine.isEnrolled && store.isUp }

    /// Whether newcomers can be registered: Redis answers and takes writes, and what it publishes for us is heard.
    var isReady: Bool { canRead && machine.isWritable && ear.isUp }

    /// Redis answers, and takes no writes.
    var refusesWrites: Bool { store.refusesWrites || store.isUp && !machine.isWritable }

    /// A connection's name beyond this process.
    func connection(_ name: LocalConnection) -> ConnectionID {
        ConnectionID(instance: machine.instance, index: name.index, generation: name.generation)
    }

    /// The same under the name that this instance had before; nil in its first epoch.
    func formerConnection(_ name: LocalConnection) -> ConnectionID? {
        machine.former.map { ConnectionID(instance: $0, index: name.index, generation: name.generation) }
    }

    // MARK: Events

    /// - Parameter hear: one batch for the instance.
    func start(following follower: any LeaseFollower, _ hear: @escaping ([UInt8]) -> Void) {
        self.follower = follower
        ear.onBatch = hear
        ear.onUp = { [weak self] in self?.renew(settles: true) }
        store.onState = { [weak self] state in self?.storeChanged(state) }
        store.start()
        timer = loop.timer(after: interval, every: interval) { [weak self] in self?.renew(settles: false) }
    }

    /// Advances the lease no more, and hears nothing.
    func stop() {
        timer?.cancel()
        ear.close()
    }

    /// From now on a lease that is gone stays gone.
    func drains() { machine.drains() }

    /// A batch was heard. True if one before it is missing.
    func heard(batch number: UInt64) -> Bool { machine.heard(batch: number) }

    private func storeChanged(_ state: StoreState) {
        source.report(state)
        let former = storeState
        storeState = state
        switch (former, state) {
        // It answered all the while, and was read.
        case (_, .refusesWrites), (.refusesWrites, .up): return
        case (_, .up): storeIsUp()
        case (_, .down), (_, .unfit): follower?.stopComparing()
        }
    }

    private func storeIsUp() {
        store.run { [weak self] run in
            guard let self else { return }
            self.perform(self.machine.redisIsUp(run: run, generation: self.store.generation))
            self.follower?.redisIsUp()
        }
    }

    private func renew(settles: Bool) {
        guard store.isUp else { return }
        perform([machine.renewal(settles: settles)])
    }

    // MARK: Actions

    private func perform(_ actions: [LeaseMachine.Action]) {
        for action in actions { perform(action) }
    }

    private func perform(_ action: LeaseMachine.Action) {
        switch action {
        case .enrol: enrol()
        case .renew(let settles): sendRenewal(settles: settles)
        case .listen: ear.listen(to: machine.instance)
        case .stopListening: ear.close()
        case .probe: ear.probe()
        case .waitForBatches:
            let number = machine.epochNumber
            loop.timer(after: Self.batchGrace) { [weak self] in
                guard let self else { return }
                self.perform(self.machine.graceIsOver(under: number))
            }
        case .compareAll: follower?.compareAll()
        case .compareAfterLoss: follower?.lossNoticed()
        case .stopComparing: follower?.stopComparing()
        case .writesAreTaken: source.up()
        case .report(let report): say(report)
        }
    }

    private func enrol() {
        let number = machine.epochNumber
        gateways.enrol(machine.instance) { [weak self] result in
            guard let self, case .success = result else { return }
            self.perform(self.machine.enrolled(under: number))
        }
    }

    private func sendRenewal(settles: Bool) {
        guard store.isUp else { return }
        let number = machine.epochNumber
        gateways.renew(machine.instance) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(.gone):
                let name = String(self.machine.instance.name)
                guard let next = InstanceID(name: name, epoch: .random(in: .min ... .max)) else { return }
                self.perform(self.machine.gone(under: number, next: next))
            case .success(.renewed(_, let latest)):
                self.perform(
                    self.machine.renewed(
                        under: number, latest: latest, generation: self.store.generation, settles: settles,
                        isHearing: self.store.isUp && self.ear.isUp))
            case .failure(let error):
                // One that does not answer is reported by its connection.
                guard case .refusal = error, self.machine.writesAreRefused(under: number) else { return }
                self.source.down(.error(error))
            }
        }
    }

    private func say(_ report: LeaseMachine.Report) {
        let connections = follower?.connectionCount ?? 0
        switch report {
        case .redisIsAnother:
            log.warning("Redis is another or was restarted: registering all connections again", ["connections": .count(connections)])
        case .redisWasSetBack(let generation):
            log.error(
                "Redis was set back: who comes with a position of before is told that something may be missing",
                ["generation": .count(Int(clamping: generation))])
        case .leaseIsGone:
            log.warning("the lease is gone: registering all connections again", ["connections": .count(connections)])
        }
    }

    /// Gives the lease back.
    func withdraw(_ completion: @escaping () -> Void) {
        stop()
        gateways.withdraw(machine.instance) { _ in completion() }
    }
}
