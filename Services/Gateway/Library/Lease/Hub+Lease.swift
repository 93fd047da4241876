import EventLoop
import Models
import Redis
import ServiceRuntime
import Store

// The lease ("A lease is a counter that advances"), the subscription to this instance's channel, and what follows when either was away.
extension Hub {
    /// Losses in a row, with nothing heard between them, after which the channel is subscribed to anew: whoever holds the
    /// other end of that connection is not the one that batches are published at.
    static let silentLossesUntilNewEar = 3

    func startLease() {
        warnOfFaults()
        redis.onState = { [weak self] state in self?.redisChanged(state) }
        redis.onWrites = { [weak self] writes in self?.clientSource.report(writes) }
        redis.start()
        leaseTimer = loop.timer(after: settings.leaseInterval, every: settings.leaseInterval) { [weak self] in
            self?.renew(settles: false)
        }
    }

    func stopLease() {
        leaseTimer?.cancel()
        subscriber?.close()
        nextSubscriber?.close()
    }

    private func redisChanged(_ state: RedisState) {
        clientSource.report(state)
        guard state == .up else { return walk.stop() }
        redis.runID { [weak self] run in self?.redisIsUp(run) }
    }

    /// `run`: which run of which server answers. One that we do not know may lack what the one before had acknowledged:
    /// routes may be gone though the lease is there.
    private func redisIsUp(_ run: String?) {
        let isKnown = run != nil && run == redisRun && generation == witness.generation
        redisRun = run
        noteGeneration()
        guard isEnrolled else {
            enrol()
            return retryRemovals()
        }
        if !isKnown {
            log.warning("Redis is another or was restarted: registering all connections anew", ["connections": .count(slab.count)])
            takeNewEpochNumber()
            listen()
        }
        renew(settles: true)
        retryRemovals()
    }

    /// Another generation than before: Redis came back older than what was acknowledged, or an operator says so.
    private func noteGeneration() {
        let former = generation
        generation = witness.generation
        guard let former, former != witness.generation else { return }
        log.error(
            "Redis was set back: who comes with a position of before is told that something may be missing",
            ["generation": .count(Int(clamping: witness.generation))])
    }

    /// From here on every route is asked for anew by the walk that follows.
    private func takeNewEpochNumber() {
        epochNumber = epochNumber &+ 1 == 0 ? 1 : epochNumber &+ 1
        tracker.restart()
        walk.stop()
    }

    /// Begins the lease of this instance's epoch, then listens to its channel.
    private func enrol() {
        let number = epochNumber
        gateways.enrol(instance) { [weak self] result in
            guard let self, number == self.epochNumber, !self.isEnrolled else { return }
            // If it failed the connection is gone, and its return tries again; else the next interval does.
            guard case .success = result else { return }
            self.isEnrolled = true
            self.listen()
        }
    }

    /// Subscribes to this instance's channel. Where a subscription stands already, it is heard until the new one does, so
    /// that no newcomer need wait; what both hear is dropped the second time.
    private func listen() {
        nextSubscriber?.close()
        var limits = RedisLimits(settings.redis)
        // The lease's renewal tells of what this connection did not bring: it need not be asked whether it lives.
        limits.idlePing = nil
        let subscriber = RedisSubscriber(
            loop: loop, endpoint: endpoint, limits: limits, channel: keyspace.channel(of: instance))
        nextSubscriber = subscriber
        if self.subscriber?.isUp != true { takeNextSubscriber() }
        subscriber.onMessage = { [weak self] in self?.arrived($0) }
        subscriber.onState = { [weak self, weak subscriber] state in
            guard let self else { return }
            if self.nextSubscriber === subscriber {
                guard state == .up else { return }
                self.takeNextSubscriber()
            }
            self.subscriberSource.report(state)
            if state == .up { self.renew(settles: true) }
        }
        subscriber.start()
    }

    private func takeNextSubscriber() {
        subscriber?.close()
        subscriber = nextSubscriber
        nextSubscriber = nil
    }

    /// Advances the lease. `settles`: something was away, so all sessions are compared in any case.
    private func renew(settles: Bool) {
        guard redis.isUp else { return }
        guard isEnrolled else { return enrol() }
        let number = epochNumber
        gateways.renew(instance) { [weak self] result in
            guard let self, number == self.epochNumber else { return }
            switch result {
            case .success(.gone): self.beginNewEpoch()
            case .success(.renewed(_, let latest)):
                let isOfBefore = self.generation != self.witness.generation
                if isOfBefore {
                    self.noteGeneration()
                    self.takeNewEpochNumber()
                }
                let wasWritable = self.isWritable
                self.isWritable = true
                if !wasWritable { self.clientSource.up() }
                self.renewed(latest, settles: settles || !wasWritable || isOfBefore)
            case .failure(let error): self.renewalFailed(error)
            }
        }
    }

    /// A Redis that answers and cannot write (OOM, READONLY, LOADING) is as good as away for newcomers. One that does not
    /// answer is reported by its connection.
    private func renewalFailed(_ error: RedisError) {
        guard case .server = error, error.isOutage, isWritable else { return }
        isWritable = false
        clientSource.down(.error(error))
    }

    private func renewed(_ latest: UInt64, settles: Bool) {
        if settles {
            guard isReady else { return }
            tracker.settle(latest: latest)
            return startWalk()
        }
        if tracker.renewed(latest: latest) { lookForBatches() }
    }

    /// A batch that the renewal named has not been heard: it is late, or lost.
    private func lookForBatches() {
        let number = epochNumber
        loop.timer(after: Self.batchGrace) { [weak self] in
            guard let self, number == self.epochNumber else { return }
            switch self.tracker.check() {
            case .complete: break
            case .coming: self.lookForBatches()
            case .late: self.lossNoticed()
            case .lost:
                self.lossNoticed()
                self.doubtTheEar()
            }
        }
    }

    /// Nothing is heard though something was published: is the connection dead, or to somebody else?
    private func doubtTheEar() {
        if tracker.silentLosses.isMultiple(of: Self.silentLossesUntilNewEar) { listen() } else { subscriber?.probe() }
    }

    /// Redis does not know us any more: whatever stood there of us is gone or will be swept. Everybody gets a new route
    /// under a new name, paced, once the new channel is heard.
    private func beginNewEpoch() {
        guard !isDraining, let next = InstanceID(name: String(instance.name), epoch: .random(in: .min ... .max)) else {
            return
        }
        log.warning("the lease is gone: registering all connections anew", ["connections": .count(slab.count)])
        formerInstance = instance
        instance = next
        takeNewEpochNumber()
        isEnrolled = false
        takeNextSubscriber()
        subscriber?.close()
        subscriber = nil
        enrol()
    }

    func lossNoticed() {
        metrics.gaps.increment()
        startWalk()
    }
}
