import Models

/// What one loop of a gateway knows of its lease (the law "A lease is a counter that advances"), and what follows from what it
/// hears. Pure: an event goes in, the actions come out in the order in which they are to be performed.
///
/// An epoch number counts the epochs of this process. A request to Redis is sent under the number of its moment, and its answer
/// brings that number back: an answer of a former epoch says nothing about this one.
struct LeaseMachine: Equatable {
    /// Losses in a row, with nothing heard between them, after which the channel is subscribed to once more: whoever holds
    /// the other end of that connection is not the one that batches are published at.
    static let silentLossesUntilNewEar = 3

    enum Action: Equatable {
        /// Begin the lease of `instance`.
        case enrol
        /// Advance the lease. `settles`: something was away, so all sessions are compared in any case.
        case renew(settles: Bool)
        /// Subscribe to the channel of `instance`. A subscription that stands is heard until the new one does.
        case listen
        /// Close every subscription: they are to the channel of a former instance.
        case stopListening
        /// Ask whether the subscription's connection lives.
        case probe
        /// Come back with `graceIsOver` after `GatewayLease.batchGrace`.
        case waitForBatches
        /// Compare every session with its inbox.
        case compareAll
        /// The same, because a batch was lost or late; it is counted.
        case compareAfterLoss
        /// What was being compared is started again later, from its beginning.
        case stopComparing
        /// Redis takes writes again.
        case writesAreTaken
        case report(Report)
    }

    /// What an operator is told.
    enum Report: Equatable {
        /// Another Redis, or one that was restarted.
        case redisIsAnother
        /// Redis has a later generation than before: it was set back.
        case redisWasSetBack(generation: UInt64)
        /// Redis does not know this instance any more.
        case leaseIsGone
    }

    /// Under which name this loop's connections are registered.
    private(set) var instance: InstanceID
    /// The name before it; nil for the first.
    private(set) var former: InstanceID?
    /// Counts this process's epochs; 0 is none.
    private(set) var epochNumber: UInt16 = 1
    private(set) var isEnrolled = false
    /// Redis takes the renewals: it is neither out of memory, nor a replica, nor loading.
    private(set) var isWritable = true
    private(set) var tracker = SequenceTracker()
    /// Which run of which Redis the connections are registered at; nil if that is not known.
    private var redisRun: String?
    /// The generation in which all routes were asked for; nil before the first.
    private var generation: UInt64?
    private var isDraining = false

    init(instance: InstanceID) { self.instance = instance }

    // MARK: Redis

    /// Redis answers. `run`: which run of which server it is; nil if it does not say. One that is not known may lack what the
    /// one before had acknowledged: routes may be gone though the lease is there.
    mutating func redisIsUp(run: String?, generation now: UInt64) -> [Action] {
        let isKnown = run != nil && run == redisRun && generation == now
        redisRun = run
        var actions = noteGeneration(now)
        guard isEnrolled else { return actions + [.enrol] }
        if !isKnown {
            actions.append(.report(.redisIsAnother))
            actions += takeNewEpochNumber()
            actions.append(.listen)
        }
        return actions + [renewal(settles: true)]
    }

    /// Another generation than before: Redis came back older than what was acknowledged, or an operator says so.
    private mutating func noteGeneration(_ now: UInt64) -> [Action] {
        defer { generation = now }
        guard let generation, generation != now else { return [] }
        return [.report(.redisWasSetBack(generation: now))]
    }

    /// From here on every route is asked for again, by the comparison that follows.
    private mutating func takeNewEpochNumber() -> [Action] {
        epochNumber = epochNumber &+ 1 == 0 ? 1 : epochNumber &+ 1
        tracker.restart()
        return [.stopComparing]
    }

    // MARK: The lease

    /// The lease is to be advanced: its interval has passed, or (`settles`) something that was away is back.
    func renewal(settles: Bool) -> Action { isEnrolled ? .renew(settles: settles) : .enrol }

    /// Redis has begun the lease. Where that fails, the connection's return or the next interval tries again.
    mutating func enrolled(under number: UInt16) -> [Action] {
        guard number == epochNumber, !isEnrolled else { return [] }
        isEnrolled = true
        return [.listen]
    }

    /// The lease was advanced.
    /// - Parameters:
    ///   - latest: the number of the last batch that was published for this instance.
    ///   - isHearing: Redis is up, and so is the subscription.
    mutating func renewed(
        under number: UInt16, latest: UInt64, generation now: UInt64, settles: Bool, isHearing: Bool
    ) -> [Action] {
        guard number == epochNumber else { return [] }
        var actions: [Action] = []
        let wasSetBack = generation != now
        if wasSetBack { actions += noteGeneration(now) + takeNewEpochNumber() }
        let wasWritable = isWritable
        isWritable = true
        if !wasWritable { actions.append(.writesAreTaken) }
        guard settles || !wasWritable || wasSetBack else {
            return tracker.renewed(latest: latest) ? actions + [.waitForBatches] : actions
        }
        guard isHearing else { return actions }
        tracker.settle(latest: latest)
        return actions + [.compareAll]
    }

    /// Redis answers that it takes no writes (OOM, READONLY, LOADING): it is as good as away for newcomers. True if that is news.
    mutating func writesAreRefused(under number: UInt16) -> Bool {
        guard number == epochNumber, isWritable else { return false }
        isWritable = false
        return true
    }

    /// Redis does not know this instance: whatever stood there of it is gone or will be swept. Everybody gets a new route
    /// under the name `next`, paced, once the new channel is heard.
    mutating func gone(under number: UInt16, next: InstanceID) -> [Action] {
        guard number == epochNumber, !isDraining else { return [] }
        former = instance
        instance = next
        isEnrolled = false
        return [.report(.leaseIsGone)] + takeNewEpochNumber() + [.stopListening, .enrol]
    }

    /// From now on a lease that is gone stays gone.
    mutating func drains() { isDraining = true }

    // MARK: Batches

    /// A batch was heard. True if one before it is missing. On the hot path: it allocates nothing.
    mutating func heard(batch number: UInt64) -> Bool { tracker.batch(number) }

    /// What the renewal named has had its time.
    mutating func graceIsOver(under number: UInt16) -> [Action] {
        guard number == epochNumber else { return [] }
        switch tracker.check() {
        case .complete: return []
        case .coming: return [.waitForBatches]
        case .late: return [.compareAfterLoss]
        case .lost:
            // Nothing is heard though something was published: is the connection dead, or to somebody else?
            let doubtful = tracker.silentLosses.isMultiple(of: Self.silentLossesUntilNewEar)
            return [.compareAfterLoss, doubtful ? .listen : .probe]
        }
    }
}
