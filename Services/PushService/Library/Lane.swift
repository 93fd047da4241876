internal import EventLoop
internal import Kafka
internal import Lanes
internal import Models
internal import ServiceKafka
internal import ServiceRuntime
internal import ServiceStore
internal import Store

/// Records on their way from one topic to devices: those of one priority, or the parked ones. A batch is worked on at a time; a
/// person's records go one after another, different people's together. What has to wait for a reason of its own is parked, in the
/// transaction that passes its record. Loop thread only.
final class Lane {
    private let loop: EventLoop
    private let devices: Devices
    private let providers: PushProviders
    private let post: Post
    private let pipeline: RecordPipeline
    /// Its records are the parked ones of this provider; `nil`: they are those of one priority.
    private let parkedOf: ProviderName?
    private var work: Work?
    private let turns: StoreTurns

    /// What all lanes share.
    struct Post {
        let topics: Topics
        let instruments: Instruments
        let refused: RefusedOutputs
        let log: Log
        let isStoreUp: () -> Bool
        let standings: DeviceStandings
    }

    init(loop: EventLoop, pipeline: RecordPipeline, devices: Devices, providers: PushProviders, parkedOf: ProviderName?, post: Post) {
        self.loop = loop
        self.pipeline = pipeline
        self.devices = devices
        self.providers = providers
        self.parkedOf = parkedOf
        self.post = post
        turns = StoreTurns(loop: loop, isUp: post.isStoreUp)
    }

    func start() throws(KafkaError) {
        pipeline.onBatch = { [unowned self] batch in self.begin(batch) }
        turns.begin { [unowned self] in self.turn() }
        pipeline.onRefused = { [refused = post.refused] in refused.replacement(for: $0, $1) }
        try pipeline.start()
    }

    /// Redis answers again.
    func wake() { turns.wake() }

    func stop(_ completion: @escaping () -> Void) {
        pipeline.stop {
            self.abandon()
            self.turns.end()
            completion()
        }
        // What is not due need not be waited for.
        if let work { putBack(work) }
    }

    private func abandon() {
        work?.cancel()
        work = nil
    }

    // MARK: A batch

    private func begin(_ batch: RecordBatch) {
        // A batch that is still here was taken from us by a rebalance.
        abandon()
        post.log.debug("batch begun", ["records": .count(batch.records.count)])
        let work = Work(batch)
        self.work = work
        for (index, record) in batch.records.enumerated() {
            if let item = read(record, index, work) { work.items.append(item) }
        }
        if parkedOf != nil {
            work.waiting = Array(work.items.indices)
            startDue(work)
            if !work.waiting.isEmpty { loop.timer(after: ParkedPush.turn) { self.putBack(work) } }
        } else {
            for number in work.items.indices { work.lanes.add(number, for: .person(work.items[number].person)) }
        }
        goOn(work)
    }

    /// Ends a batch all of whose records have an outcome; else, at the end of this turn, does what has become possible.
    private func goOn(_ work: Work) {
        if work.isDone { finish(work) } else { turns.schedule() }
    }

    private func turn() {
        guard let work, work.batch.isCurrent, turns.mayAsk() else { return }
        while let slot = work.lanes.next(turns.hold) {
            lookUp(work.lanes.firstRecord(of: slot), slot, work)
        }
    }

    /// Nil if the record needs no push; what it needs instead is in `work`.
    private func read(_ record: KafkaRecord, _ index: Int, _ work: Work) -> Work.Item? {
        do throws(DeadLetter) {
            let (message, person, accepted) = try PushMessage.read(record.value)
            let parked = parkedOf == nil ? nil : try ParkedPush.read(record.value)
            if let expiresAt = message.expiresAt, expiresAt <= EventLoop.wallClock() {
                post.instruments.outcomes[.expired].increment()
                return nil
            }
            guard !providers.isEmpty else { throw DeadLetter(.noCredentials, "APNS_KEY_FILE is not set") }
            return Work.Item(index: index, message: message, person: person, accepted: accepted, parked: parked)
        } catch {
            giveUp(index, error, attempts: 1, work)
            return nil
        }
    }

    private func giveUp(_ index: Int, _ letter: DeadLetter, attempts: Int, _ work: Work) {
        guard work.claimDeadLetter(for: index) else { return }
        work.write(
            .deadLetter(
                work.batch.records[index], letter, attempts: attempts, topic: post.topics.pushDeadLetters, at: EventLoop.wallClock()),
            for: index)
        post.instruments.outcomes[.deadLettered].increment()
        post.log.error("a push became a dead letter", ["reason": .name(letter.reason), "attempts": .count(attempts)])
    }

    private func finish(_ work: Work) {
        guard self.work === work else { return }
        self.work = nil
        work.timer?.cancel()
        // A push that is repeated carries the same apns-id and replaces itself, so its offset need not be waited for.
        work.batch.finish(work.allOutputs, commit: .plain)
    }

    // MARK: Parked pushes

    /// Begins with those that are due, and looks again when the next one is.
    private func startDue(_ work: Work) {
        let now = EventLoop.wallClock()
        let waits = work.waiting.map { work.items[$0].parked?.wait(now: now) ?? 0 }
        for (number, wait) in zip(work.waiting, waits) where wait == 0 { work.lanes.add(number, for: .parked(number)) }
        work.waiting = zip(work.waiting, waits).filter { $1 > 0 }.map(\.0)
        work.timer = waits.filter { $0 > 0 }.min().map { wait in
            loop.timer(after: .milliseconds(wait)) { self.startDue(work) }
        }
        turns.schedule()
    }

    /// Ends the turn: what is not due is written again as it is.
    private func putBack(_ work: Work) {
        guard self.work === work, !work.waiting.isEmpty, let parkedOf else { return }
        work.timer?.cancel()
        for number in work.waiting {
            let index = work.items[number].index
            let record = work.batch.records[index]
            work.write(
                OutgoingRecord(topic: post.topics.pushRetries(of: parkedOf), key: record.key, value: record.value, headers: record.headers),
                for: index)
        }
        work.waiting = []
        goOn(work)
    }

    private func park(_ item: Work.Item, _ device: Device, attempt: Int, until: Int64, _ work: Work) {
        guard let provider = ProviderName(of: device) else { return }
        do throws(DeadLetter) {
            let parked = ParkedPush(devices: [device.token], attempt: attempt, notBefore: until)
            let topic = post.topics.pushRetries(of: provider)
            work.write(try parked.record(for: work.batch.records[item.index], topic: topic), for: item.index)
            post.instruments.outcomes[.parked].increment()
        } catch {
            giveUp(item.index, error, attempts: attempt, work)
        }
    }

    // MARK: A record

    private func lookUp(_ number: Int, _ slot: Int, _ work: Work) {
        let item = work.items[number]
        devices.targets(of: item.person, for: item.message.id) { result in
            guard self.work === work else { return }
            switch result {
            case .success(let targets):
                self.turns.succeeded()
                self.send(number, slot, targets, work)
            case .failure(let error): self.lookupFailed(slot, error, work)
            }
        }
    }

    /// An outage of the store says nothing about the record: it waits, and with it the batch.
    private func lookupFailed(_ slot: Int, _ error: StoreError, _ work: Work) {
        turns.failed(isOutage: error.isOutage)
        guard case .givenUp(let numbers) = work.lanes.failed(slot, isOutage: error.isOutage) else { return }
        post.log.error("a person's devices cannot be read", ["reason": .error(error)])
        for number in numbers {
            giveUp(
                work.items[number].index, DeadLetter(.attemptsExhausted, "the person's devices cannot be read"),
                attempts: Work.lookupAttempts, work)
        }
        goOn(work)
    }

    private func send(_ number: Int, _ slot: Int, _ targets: [PushTarget], _ work: Work) {
        let item = work.items[number]
        let wanted = targets.filter {
            providers.serves($0.device) && item.parked?.devices.contains($0.device.token) != false
        }
        if wanted.isEmpty {
            post.instruments.outcomes[.noDevice].increment()
            return end(slot, work)
        }
        let awake = wanted.filter { isToSend(item, $0, work) }
        guard !awake.isEmpty else { return end(slot, work) }
        work.items[number].open = awake.count
        for target in awake {
            let device = target.device
            providers.run(
                Errand(item.message, to: device, of: work, attempts: item.parked?.attempt ?? 0, waitsHere: parkedOf != nil) {
                    self.ended(number, slot, work, device, $0)
                })
        }
    }

    /// Decides about a device before the provider is asked; what becomes of the push instead is counted, or in `work`.
    private func isToSend(_ item: Work.Item, _ target: PushTarget, _ work: Work) -> Bool {
        if target.isSent {
            post.instruments.outcomes[.repeated].increment()
            return false
        }
        switch post.standings.verdict(on: target.device, now: EventLoop.wallClock()) {
        case .send: return true
        case .quarantined: post.instruments.outcomes[.quarantined].increment()
        case .setAside: post.instruments.outcomes[.setAside].increment()
        case .resting(let until):
            park(item, target.device, attempt: item.parked?.attempt ?? 0, until: until, work)
        }
        return false
    }

    private func ended(_ number: Int, _ slot: Int, _ work: Work, _ device: Device, _ outcome: Errand.Outcome) {
        guard self.work === work else { return }
        let item = work.items[number]
        let (outcomes, token) = (post.instruments.outcomes, device.token)
        let now = EventLoop.wallClock()
        switch outcome {
        case .accepted:
            outcomes[.accepted].increment()
            post.instruments.delivery.observe(milliseconds: now - item.accepted)
            post.standings.isGood(token)
            remember(item, token)
        case .deviceGone(let since):
            outcomes[.unregistered].increment()
            if let since { remove(token, item.person, since) }
        case .badToken:
            outcomes[.quarantined].increment()
            if post.standings.isBad(token, now: now) { remove(token, item.person, now) }
        case .parked(let pause, let attempts, let isForDevice):
            let until = now + Int64(pause.wholeMilliseconds)
            if isForDevice { post.standings.rest(token, until: until) }
            park(item, device, attempt: attempts, until: until, work)
        case .wrongTopic(let letter, let attempts):
            post.standings.hasWrongTopic(token, now: now)
            giveUp(item.index, letter, attempts: attempts, work)
        case .gaveUp(let letter, let attempts): giveUp(item.index, letter, attempts: attempts, work)
        }
        work.items[number].open -= 1
        if work.items[number].open == 0 { end(slot, work) }
    }

    /// If Redis is away it is not remembered, and a replay pushes it again.
    private func remember(_ item: Work.Item, _ token: String) {
        devices.remember(item.message.id, sentTo: token, of: item.person) { [post] result in
            if case .failure = result { post.instruments.unremembered.increment() }
        }
    }

    /// If Redis is away the device stays; the next push is answered alike and removes it then.
    private func remove(_ token: String, _ person: PersonID, _ timestamp: Int64) {
        devices.delete(token, of: person, unlessNewerThan: timestamp) { [log = post.log] result in
            switch result {
            case .success(true): log.info("a device that the provider calls gone was removed")
            case .success(false): log.info("a device that the provider calls gone has been registered since")
            case .failure(let error): log.warning("a device could not be removed", ["reason": .error(error)])
            }
        }
    }

    /// All devices of the record have an outcome.
    private func end(_ slot: Int, _ work: Work) {
        work.lanes.end(slot)
        goOn(work)
    }
}
