internal import EventLoop
internal import Kafka
internal import Models
internal import ServiceKafka
internal import ServiceRuntime
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
    private var waitingForStore: [PersonWork] = []
    private var storeTimer: LoopTimer?

    /// Failures of a look-up, no outage among them, after which a record is given up.
    static let lookupAttempts = 5
    /// Between two looks whether Redis is back.
    static let storePause: Duration = .milliseconds(250)

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
    }

    func start() throws(KafkaError) {
        pipeline.onBatch = { [unowned self] batch in self.begin(batch) }
        pipeline.onRefused = { [refused = post.refused] in refused.replacement(for: $0, $1) }
        try pipeline.start()
    }

    func stop(_ completion: @escaping () -> Void) {
        pipeline.stop {
            self.abandon()
            completion()
        }
        // What is not due need not be waited for.
        if let work { putBack(work) }
    }

    private func abandon() {
        work?.cancel()
        work = nil
        waitingForStore = []
        storeTimer?.cancel()
        storeTimer = nil
    }

    // MARK: A batch

    private func begin(_ batch: RecordBatch) {
        // A batch that is still here was taken from us by a rebalance.
        abandon()
        post.log.debug("batch begun", ["records": .count(batch.records.count)])
        let work = Work(batch)
        self.work = work
        var people: [PersonID: PersonWork] = [:]
        var order: [PersonWork] = []
        for (index, record) in batch.records.enumerated() {
            guard let item = read(record, index, work) else { continue }
            if parkedOf == nil, let person = people[item.person] {
                person.items.append(item)
            } else {
                let person = PersonWork(work, item)
                people[item.person] = person
                order.append(person)
            }
        }
        work.open = order.reduce(0) { $0 + $1.items.count }
        guard work.open > 0 else { return finish(work) }
        guard parkedOf != nil else { return order.forEach(lookUp) }
        work.waiting = order
        startDue(work)
        if !work.waiting.isEmpty { loop.timer(after: ParkedPush.turn) { self.putBack(work) } }
    }

    /// Nil if the record needs no push; what it needs instead is in `work`.
    private func read(_ record: KafkaRecord, _ index: Int, _ work: Work) -> PersonWork.Item? {
        do throws(DeadLetter) {
            let (message, person, accepted) = try PushMessage.read(record.value)
            let parked = parkedOf == nil ? nil : try ParkedPush.read(record.value)
            if let expiresAt = message.expiresAt, expiresAt <= EventLoop.wallClock() {
                post.instruments.outcomes[.expired].increment()
                return nil
            }
            guard !providers.isEmpty else { throw DeadLetter(.noCredentials, "APNS_KEY_FILE is not set") }
            return PersonWork.Item(index: index, message: message, person: person, accepted: accepted, parked: parked)
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
        let waits = work.waiting.map { $0.items.first?.parked?.wait(now: now) ?? 0 }
        let due = zip(work.waiting, waits).filter { $1 == 0 }.map(\.0)
        work.waiting = zip(work.waiting, waits).filter { $1 > 0 }.map(\.0)
        work.timer = waits.filter { $0 > 0 }.min().map { wait in
            loop.timer(after: .milliseconds(wait)) { self.startDue(work) }
        }
        due.forEach(lookUp)
    }

    /// Ends the turn: what is not due is written again as it is.
    private func putBack(_ work: Work) {
        guard self.work === work, !work.waiting.isEmpty, let parkedOf else { return }
        let waiting = work.waiting
        work.waiting = []
        work.timer?.cancel()
        for person in waiting {
            let record = work.batch.records[person.items[0].index]
            work.write(
                OutgoingRecord(topic: post.topics.pushRetries(of: parkedOf), key: record.key, value: record.value, headers: record.headers),
                for: person.items[0].index)
            next(person)
        }
    }

    private func park(_ item: PersonWork.Item, _ device: Device, attempt: Int, until: Int64, _ work: Work) {
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

    // MARK: A person

    private func lookUp(_ person: PersonWork) {
        guard let work, person.work === work, work.batch.isCurrent else { return }
        guard let item = person.items.first else { return }
        devices.targets(of: item.person, for: item.message.id) { result in
            guard self.work === work else { return }
            switch result {
            case .success(let targets): self.send(person, item, targets)
            case .failure(let error) where error.isOutage: self.waitForStore(person)
            case .failure(let error): self.lookupFailed(person, item, error)
            }
        }
    }

    private func lookupFailed(_ person: PersonWork, _ item: PersonWork.Item, _ error: StoreError) {
        person.failures += 1
        guard person.failures >= Self.lookupAttempts else { return waitForStore(person) }
        post.log.error("a person's devices cannot be read", ["reason": .error(error)])
        giveUp(
            item.index, DeadLetter(.attemptsExhausted, "the person's devices cannot be read"), attempts: person.failures,
            person.work)
        next(person)
    }

    /// An outage of the store says nothing about the record: it waits, and with it the batch.
    private func waitForStore(_ person: PersonWork) {
        waitingForStore.append(person)
        guard storeTimer == nil else { return }
        storeTimer = loop.timer(after: Self.storePause, every: Self.storePause) {
            guard self.post.isStoreUp() else { return }
            self.storeTimer?.cancel()
            self.storeTimer = nil
            let people = self.waitingForStore
            self.waitingForStore = []
            for person in people { self.lookUp(person) }
        }
    }

    private func send(_ person: PersonWork, _ item: PersonWork.Item, _ targets: [PushTarget]) {
        let wanted = targets.filter {
            providers.serves($0.device) && item.parked?.devices.contains($0.device.token) != false
        }
        if wanted.isEmpty {
            post.instruments.outcomes[.noDevice].increment()
            return next(person)
        }
        let awake = wanted.filter { isToSend(item, $0, person.work) }
        guard !awake.isEmpty else { return next(person) }
        person.open = awake.count
        for target in awake {
            let device = target.device
            providers.run(
                Errand(item.message, to: device, of: person.work, attempts: item.parked?.attempt ?? 0, waitsHere: parkedOf != nil) {
                    self.ended(person, item, device, $0)
                })
        }
    }

    /// Decides about a device before the provider is asked; what becomes of the push instead is counted, or in `work`.
    private func isToSend(_ item: PersonWork.Item, _ target: PushTarget, _ work: Work) -> Bool {
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

    private func ended(_ person: PersonWork, _ item: PersonWork.Item, _ device: Device, _ outcome: Errand.Outcome) {
        guard work === person.work else { return }
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
            park(item, device, attempt: attempts, until: until, person.work)
        case .wrongTopic(let letter, let attempts):
            post.standings.hasWrongTopic(token, now: now)
            giveUp(item.index, letter, attempts: attempts, person.work)
        case .gaveUp(let letter, let attempts): giveUp(item.index, letter, attempts: attempts, person.work)
        }
        person.open -= 1
        if person.open == 0 { next(person) }
    }

    /// If Redis is away it is not remembered, and a replay pushes it again.
    private func remember(_ item: PersonWork.Item, _ token: String) {
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

    private func next(_ person: PersonWork) {
        person.items.removeFirst()
        person.failures = 0
        person.work.open -= 1
        if person.work.open == 0 { return finish(person.work) }
        if !person.items.isEmpty { lookUp(person) }
    }
}
