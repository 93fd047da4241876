internal import EventLoop
internal import Kafka
internal import Models
internal import Redis
internal import ServiceRuntime
internal import Store

/// One priority's records on their way from `push.<priority>` to devices. A batch is worked on at a time; a person's records
/// go one after another, different people's together. Loop thread only.
final class Lane {
    private let loop: EventLoop
    private let devices: Devices
    /// `nil`: there are no credentials.
    private let courier: Courier?
    private let post: Post
    private let pipeline: RecordPipeline
    private var work: Work?
    private var waitingForRedis: [PersonWork] = []
    private var redisTimer: LoopTimer?

    /// Failures of a look-up, no outage among them, after which a record is given up.
    static let lookupAttempts = 5
    /// Between two looks whether Redis is back.
    static let redisPause: Duration = .milliseconds(250)

    /// What all lanes share.
    struct Post {
        let deadLetterTopic: String
        let instruments: Instruments
        let refused: RefusedOutputs
        let log: Log
        let isRedisUp: () -> Bool
        let quarantine: SharedQuarantine
    }

    init(loop: EventLoop, pipeline: RecordPipeline, devices: Devices, courier: Courier?, post: Post) {
        self.loop = loop
        self.pipeline = pipeline
        self.devices = devices
        self.courier = courier
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
    }

    private func abandon() {
        work?.isCancelled = true
        work = nil
        waitingForRedis = []
        redisTimer?.cancel()
        redisTimer = nil
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
            if let person = people[item.person] {
                person.items.append(item)
            } else {
                let person = PersonWork(work, item)
                people[item.person] = person
                order.append(person)
            }
        }
        work.open = order.reduce(0) { $0 + $1.items.count }
        guard work.open > 0 else { return finish(work) }
        for person in order { lookUp(person) }
    }

    /// Nil if the record needs no push; what it needs instead is in `work`.
    private func read(_ record: KafkaRecord, _ index: Int, _ work: Work) -> PersonWork.Item? {
        do throws(DeadLetter) {
            let (message, person, accepted) = try PushMessage.read(record.value)
            if let expiresAt = message.expiresAt, expiresAt <= EventLoop.wallClock() {
                post.instruments.outcomes[.expired].increment()
                return nil
            }
            guard courier != nil else { throw DeadLetter(.noCredentials, "APNS_KEY_FILE is not set") }
            return PersonWork.Item(index: index, message: message, person: person, accepted: accepted)
        } catch {
            giveUp(index, error, attempts: 1, work)
            return nil
        }
    }

    private func giveUp(_ index: Int, _ letter: DeadLetter, attempts: Int, _ work: Work) {
        work.deadLetters[index] = .deadLetter(
            work.batch.records[index], letter, attempts: attempts, topic: post.deadLetterTopic, at: EventLoop.wallClock())
        post.instruments.outcomes[.deadLettered].increment()
        post.log.error("a push became a dead letter", ["reason": .name(letter.reason), "attempts": .count(attempts)])
    }

    private func finish(_ work: Work) {
        guard self.work === work else { return }
        self.work = nil
        let outputs = work.deadLetters.sorted { $0.key < $1.key }.map(\.value)
        // A push that is repeated carries the same apns-id and replaces itself, so its offset need not be waited for.
        work.batch.finish(outputs, commit: .plain)
    }

    // MARK: A person

    private func lookUp(_ person: PersonWork) {
        guard let work, person.work === work, work.batch.isCurrent else { return }
        guard let item = person.items.first else { return }
        devices.list(of: item.person) { result in
            guard self.work === work else { return }
            switch result {
            case .success(let devices): self.send(person, item, devices)
            case .failure(let error) where error.isOutage: self.waitForRedis(person)
            case .failure(let error): self.lookupFailed(person, item, error)
            }
        }
    }

    private func lookupFailed(_ person: PersonWork, _ item: PersonWork.Item, _ error: RedisError) {
        person.failures += 1
        guard person.failures >= Self.lookupAttempts else { return waitForRedis(person) }
        post.log.error("a person's devices cannot be read", ["reason": .error(error)])
        giveUp(
            item.index, DeadLetter(.attemptsExhausted, "the person's devices cannot be read"), attempts: person.failures,
            person.work)
        next(person)
    }

    /// An outage of Redis says nothing about the record: it waits, and with it the batch.
    private func waitForRedis(_ person: PersonWork) {
        waitingForRedis.append(person)
        guard redisTimer == nil else { return }
        redisTimer = loop.timer(after: Self.redisPause, every: Self.redisPause) {
            guard self.post.isRedisUp() else { return }
            self.redisTimer?.cancel()
            self.redisTimer = nil
            let people = self.waitingForRedis
            self.waitingForRedis = []
            for person in people { self.lookUp(person) }
        }
    }

    private func send(_ person: PersonWork, _ item: PersonWork.Item, _ devices: [Device]) {
        guard let courier else { return }
        let now = EventLoop.wallClock()
        let targets = devices.filter { $0.platform == "apns" }
        if targets.isEmpty {
            post.instruments.outcomes[.noDevice].increment()
            return next(person)
        }
        let awake = targets.filter { post.quarantine.state.verdict(on: $0.token, registeredAt: $0.registeredAt, now: now) == .send }
        post.instruments.outcomes[.quarantined].increment(by: targets.count - awake.count)
        guard !awake.isEmpty else { return next(person) }
        person.open = awake.count
        for device in awake {
            courier.run(
                Errand(item.message, to: device.token, of: person.work) { self.ended(person, item, device.token, $0) })
        }
    }

    private func ended(_ person: PersonWork, _ item: PersonWork.Item, _ token: String, _ outcome: Errand.Outcome) {
        guard work === person.work else { return }
        let outcomes = post.instruments.outcomes
        switch outcome {
        case .accepted:
            outcomes[.accepted].increment()
            post.instruments.delivery.observe(milliseconds: EventLoop.wallClock() - item.accepted)
            post.quarantine.state.isGood(token)
        case .unregistered(let since):
            outcomes[.unregistered].increment()
            if let since { remove(token, item.person, since) }
        case .quarantine:
            outcomes[.quarantined].increment()
            if post.quarantine.state.isBad(token, now: EventLoop.wallClock()) { remove(token, item.person, EventLoop.wallClock()) }
        case .gaveUp(let reason, let answer, let attempts):
            // One dead letter a record, with what the first of its devices met.
            if person.work.deadLetters[item.index] == nil {
                giveUp(item.index, DeadLetter(reason, detail(answer)), attempts: attempts, person.work)
            }
        }
        person.open -= 1
        if person.open == 0 { next(person) }
    }

    private func detail(_ reason: APNsReason?) -> String {
        reason.map { "APNs answered \($0.rawValue)" } ?? "APNs did not answer"
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

/// One batch while it is worked on.
final class Work {
    let batch: RecordBatch
    /// Records without an outcome.
    var open = 0
    /// By the record's index.
    var deadLetters: [Int: OutgoingRecord] = [:]
    /// The group has given its records to another member, or the service ends.
    var isCancelled = false

    init(_ batch: RecordBatch) { self.batch = batch }
}

/// One person's records of a batch, in order.
final class PersonWork {
    struct Item {
        /// Of the record in its batch.
        let index: Int
        let message: PushMessage
        let person: PersonID
        /// ms since 1970.
        let accepted: Int64
    }

    let work: Work
    /// The first is the one that is worked on.
    var items: [Item]
    /// Devices of the first item without an outcome.
    var open = 0
    /// Look-ups for the first item that failed by themselves.
    var failures = 0

    init(_ work: Work, _ item: Item) {
        self.work = work
        items = [item]
    }
}

/// The quarantine that all lanes share.
final class SharedQuarantine {
    var state = Quarantine()
}
