internal import CRDKafka
public import EventLoop

/// Bounds of a `RecordPipeline`.
public struct PipelineLimits: Sendable {
    /// Records in a batch, and held beside one that is in flight.
    public var records: Int
    /// Bytes of them; one record more may pass it.
    public var bytes: Int
    /// Between the beginnings of two batches, in ms: what arrives sooner waits for the end of it.
    public var commitInterval: UInt64
    /// How long `stop` waits for the service's batch and for the broker.
    public var stopPatience: Duration

    public init(
        records: Int = 4_000, bytes: Int = 8 << 20, commitInterval: UInt64 = 20, stopPatience: Duration = .seconds(5)
    ) {
        self.records = records
        self.bytes = bytes
        self.commitInterval = commitInterval
        self.stopPatience = stopPatience
    }
}

/// Consumes topics as a member of a group, hands out batches, and commits what each batch put out together with its offsets
/// in one transaction: a record's outputs are there exactly once for readers of committed records, whatever dies in between, unless
/// it is the only broker, in the middle of a commit: then a batch may stand there twice (decision 0014).
///
/// One batch is in flight. A rebalance drops it (its `finish` does nothing any more) or waits for its transaction. An outage of
/// the broker says nothing about a record: all is held and tried again until it passes. Loop thread only; what blocks runs on a worker.
public final class RecordPipeline {
    /// A batch to work on; the service calls `finish` on it, now or later.
    public var onBatch: ((RecordBatch) -> Void)?
    /// Whether the broker answers: the first state, then once each way.
    public var onState: ((BrokerState) -> Void)?
    /// What an operator may want to read, in one line; rare.
    public var onNote: ((String) -> Void)?
    /// An output that Kafka will never take (too large, say): what to write in its place, or `nil` for nothing; it is then
    /// dropped with a note. What stands in its place may be offered again: answer `nil` to that.
    public var onRefused: ((OutgoingRecord, KafkaError) -> OutgoingRecord?)?

    private let loop: EventLoop
    private let settings: KafkaSettings
    private let limits: PipelineLimits
    private let topics: [String]
    let consumer: Consumer
    private let transactions: TransactionThread
    private let probe: BrokerProbe
    private(set) var machine: TransactionMachine
    private var held = HeldRecords()
    private var batch: RecordBatch?
    /// What is written for it at present.
    private var staged: StagedTransaction?
    private var lastTransaction: UInt64 = 0
    private var ticker: LoopTimer?
    private var waker: LoopTimer?
    /// The batch that was the last one a second ago.
    private var lastTick: UInt64 = 0
    /// Partitions are paused: nothing was taken for a second.
    private(set) var isReadingPaused = false
    /// They were, since this assignment began.
    private var wasReadingPaused = false
    /// Partitions of this assignment are not read.
    private var areSomeUnread = false
    /// The latest commit that was answered, in the loop's ms.
    private var committedAt: UInt64?
    /// It was less than `doubtful` ms before the broker was missed, and may have been forgotten.
    private var isCommitInDoubt = false
    private static let doubtful: UInt64 = 10_000
    private var onStopped: (() -> Void)?
    private var lastFailure: String?
    /// Errors of reading that were told: each once.
    private var notedErrors: Set<String> = []
    private static let maximumNotedErrors = 32

    /// - Parameters:
    ///   - service: names the group and, with `settings.instanceID`, the transactional id.
    ///   - topics: names, or regular expressions that begin with `^`; the namespace is added here.
    ///   - excluding: regular expressions of topics to keep away from, matched against full names (`\.dlq$`).
    /// - Throws: a property that librdkafka does not take.
    public init(
        loop: EventLoop, settings: KafkaSettings, service: String, topics: [String], excluding: [String] = [],
        limits: PipelineLimits = PipelineLimits()
    ) throws(KafkaError) {
        loop.assertCurrent()
        self.loop = loop
        self.settings = settings
        self.limits = limits
        self.topics = topics.map(settings.subscription)
        machine = TransactionMachine(interval: limits.commitInterval, commitsTwice: settings.isMock)
        consumer = try Consumer(
            loop: loop,
            properties: .consumer(
                settings, group: settings.group(ofService: service), excluding: excluding,
                creates: !topics.contains { $0.hasPrefix("^") }))
        transactions = TransactionThread(
            loop: loop, settings: settings, transactionalID: settings.transactionalID(ofService: service),
            consumer: consumer.client)
        probe = BrokerProbe(loop: loop, client: consumer.client, name: "kafka-probe")
    }

    /// Joins the group. Once.
    public func start() throws(KafkaError) {
        loop.assertCurrent()
        consumer.onReady = { [unowned self] in self.drain() }
        consumer.onRebalance = { [unowned self] in self.rebalanced($0) }
        consumer.onCommitted = { [unowned self] in self.plainCommitAnswered($0) }
        consumer.onError = { [unowned self] in self.failed($0) }
        consumer.onUnread = { [unowned self] in self.unread($0) }
        probe.onState = { [unowned self] in self.stateChanged($0) }
        try consumer.subscribe(topics)
        probe.start()
        transactions.prepare()
        // A consumer that is not polled for long leaves its group, however quiet its topics are.
        ticker = loop.timer(after: .seconds(1), every: .seconds(1)) { [unowned self] in self.tick() }
    }

    /// No batch is handed out until `resume`; what is in flight goes on. The partitions stay this member's.
    public func pause() { feed(.paused) }

    public func resume() { feed(.resumed) }

    /// Lets the batch in flight end, commits it, leaves the group; at the latest when `stopPatience` is over, without it.
    public func stop(_ completion: @escaping () -> Void) {
        loop.assertCurrent()
        onStopped = completion
        feed(.stop)
        if !machine.hasLeft {
            loop.timer(after: limits.stopPatience) { [weak self] in self?.feed(.stopNow) }
        }
    }

    /// Records read and not handed out yet.
    public var heldRecords: Int { held.count }

    /// Of the group, while this is a member.
    var generation: Int32? { consumer.membership?.generation }

    func isCurrent(_ number: UInt64) -> Bool { machine.isOpen(number) && batch?.number == number }

    func step(_ batch: RecordBatch, _ outputs: [OutgoingRecord], through count: Int, _ then: @escaping () -> Void) {
        guard stage(batch, outputs, through: count, then) else { return }
        feed(.stepped(batch: batch.number))
    }

    func finish(_ batch: RecordBatch, _ outputs: [OutgoingRecord], through count: Int, _ commit: OffsetCommit) {
        guard stage(batch, outputs, through: count, nil) else { return }
        // Nothing else is handed out before this has passed; if the group takes it all back, it drops this too.
        held.putBack(batch.records[batch.positions.count...])
        feed(.finished(batch: batch.number, outputs.isEmpty ? commit : .transaction))
        feed(.held(held.count))
    }

    private func stage(
        _ batch: RecordBatch, _ outputs: [OutgoingRecord], through count: Int, _ then: (() -> Void)?
    ) -> Bool {
        loop.assertCurrent()
        guard machine.phase == .processing(batch.number), self.batch === batch else { return false }
        lastTransaction &+= 1
        let before = batch.positions.count
        batch.pass(through: count)
        staged = StagedTransaction(
            number: lastTransaction, outputs: outputs, passes: batch.positions.count > before ? batch.lastPassed : nil, then: then)
        return true
    }

    // MARK: Reading

    /// Takes what waits, up to the limits. What stays is taken when a batch has gone.
    private func drain() {
        guard !machine.hasLeft else { return }
        while held.count < limits.records, held.bytes < limits.bytes {
            guard let record = consumer.next() else { break }
            take(record)
        }
        feed(.held(held.count))
    }

    private func take(_ record: KafkaRecord) {
        // Between a revocation and its answer, what still comes belongs to the next owner.
        if machine.isAssigned, !machine.isRevoking { held.append(record) }
    }

    private func tick() {
        let stands = lastTick == machine.lastBatch
        lastTick = machine.lastBatch
        if held.count >= limits.records || held.bytes >= limits.bytes {
            // Only if nothing moved for a second: a pause throws away what was fetched ahead.
            if !isReadingPaused, stands {
                consumer.pause()
                isReadingPaused = true
                wasReadingPaused = true
            }
            // For the group's sake; paused partitions give nothing.
            if isReadingPaused, let record = consumer.next() { take(record) }
        }
        drain()
        consumer.takeAnswers()
        // Not at once: while a coordinator is elected, each answer is the same error.
        feed(areSomeUnread ? .unread : .tick)
        areSomeUnread = false
    }

    private func rebalanced(_ rebalance: Consumer.Rebalance) {
        switch rebalance {
        case .assigned(let count):
            onNote?("the group gave this member \(count) partitions")
            feed(.assigned)
            endPending()
        case .revoked: feed(.revoked)
        }
    }

    private func failed(_ error: KafkaError) {
        // An outage has its own voice.
        if error.isOutage { return probe.ask() }
        let line = "reading: \(error)"
        if notedErrors.count < Self.maximumNotedErrors, notedErrors.insert(line).inserted { onNote?(line) }
    }

    private func unread(_ error: KafkaError) {
        areSomeUnread = true
        note("the group did not say where its partitions stand, and is asked again", error)
        if error.isOutage { probe.ask() }
    }

    private func stateChanged(_ state: BrokerState) {
        onState?(state)
        if state != .up {
            isCommitInDoubt = committedAt.map { loop.now - $0 < Self.doubtful } ?? false
            return
        }
        sumUpLog()
        if isCommitInDoubt, !settings.isMock {
            feed(.unread)
            endPending()
        }
        isCommitInDoubt = false
    }

    /// librdkafka writes thousands of lines in an outage; they are told as one.
    private func sumUpLog() {
        let log = consumer.client.takeLog()
        if log.lines > 0 { onNote?("librdkafka wrote \(log.lines) lines, the last: \(log.last)") }
    }

    private func plainCommitAnswered(_ error: KafkaError?) {
        if let error, !error.isStaleMember { note("offsets were not committed", error) }
        feed(.plainCommitAnswered)
    }

    // MARK: The machine

    private func feed(_ event: TransactionMachine.Event) {
        loop.assertCurrent()
        for action in machine.apply(event, now: loop.now) { perform(action) }
    }

    private func perform(_ action: TransactionMachine.Action) {
        switch action {
        case .dispatch(let number): dispatch(number)
        case .transact(let number): transact(number)
        case .commitPlainly(let number):
            guard let batch, batch.number == number, consumer.commit(batch.offsets) else {
                return loop.atTurnEnd { [weak self] in self?.feed(.plainCommitAnswered) }
            }
        case .proceed:
            let then = staged?.then
            staged = nil
            then?()
        case .forget:
            batch = nil
            staged = nil
        case .dropHeld: held = HeldRecords()
        case .abandon: transactions.abandon()
        case .unassign:
            clearPauses()
            consumer.unassign()
        case .reassign:
            clearPauses()
            consumer.reassign()
        case .leave: leave()
        case .wake(let at):
            let delay = at > loop.now ? at - loop.now : 0
            waker?.cancel()
            waker = loop.timer(after: .milliseconds(Int64(clamping: delay))) { [weak self] in self?.feed(.tick) }
        }
    }

    private func dispatch(_ number: UInt64) {
        let batch = RecordBatch(number: number, records: held.take(), membership: consumer.membership, pipeline: self)
        self.batch = batch
        resumeReading()
        // What was left in the queue when the buffer was full announces itself no more.
        loop.atTurnEnd { [weak self] in self?.drain() }
        onBatch?(batch)
    }

    private func resumeReading() {
        guard isReadingPaused else { return }
        isReadingPaused = false
        consumer.resume()
    }

    /// A pause outlasts the assignment, and a `resume` can get lost: where librdkafka pauses for a rebalance at the same moment, the
    /// later of the two requests can arrive first, and the other one is dropped as outdated (2.0.2, its issue 5591). Between
    /// a revocation and its answer librdkafka keeps still, so what is asked here arrives.
    private func clearPauses() {
        guard wasReadingPaused else { return }
        wasReadingPaused = false
        isReadingPaused = false
        // A resume alone would set back a partition that is not paused.
        consumer.pause()
        consumer.resume()
    }

    private func transact(_ number: UInt64) {
        guard let batch, batch.number == number, let staged, let membership = batch.membership else {
            return loop.atTurnEnd { [weak self] in self?.feed(.transacted(batch: number, .failed)) }
        }
        let content = TransactionContent(
            number: staged.number, outputs: staged.outputs, offsets: batch.offsets, proof: staged.passes,
            membership: membership)
        transactions.run(content) { [self] in transacted(number, $0) }
    }

    private func transacted(_ number: UInt64, _ result: TransactionResult) {
        switch result {
        case .committed:
            lastFailure = nil
            committedAt = loop.now
            feed(.transacted(batch: number, .committed))
        case .failed(let error):
            note("a transaction did not pass and is tried again", error)
            if error.isOutage { probe.ask() }
            feed(.transacted(batch: number, .failed))
        case .refused(let index, let error):
            replaceOutput(index, error)
            feed(.transacted(batch: number, .failed))
        case .abandoned:
            // What it left open keeps readers waiting until its successor has ended it.
            if !machine.isStopping { transactions.prepare() }
            feed(.transacted(batch: number, .abandoned))
        }
    }

    private func replaceOutput(_ index: Int, _ error: KafkaError) {
        guard let refused = staged?.remove(at: index) else { return }
        if let replacement = onRefused?(refused, error) {
            staged?.outputs.insert(replacement, at: index)
        } else {
            note("a record that Kafka does not take was dropped", error)
        }
    }

    /// A group of which something is pending does not say where it stands; whoever begins with partitions ends its own of that.
    private func endPending() {
        guard !machine.hasLeft, let membership = consumer.membership, let sample = consumer.firstAssigned else { return }
        transactions.endPending(sample, membership) { [self] error in
            if let error { pendingRemains(error, membership) }
        }
    }

    private func pendingRemains(_ error: KafkaError, _ membership: GroupMembership) {
        note("what may be pending of a former transaction was not ended and is tried again", error)
        if error.isOutage { probe.ask() }
        loop.timer(after: .seconds(1)) { [weak self] in
            if let self, self.consumer.membership === membership { self.endPending() }
        }
    }

    /// One line for a failure that repeats.
    private func note(_ what: String, _ error: KafkaError) {
        let line = "\(what): \(error)"
        guard line != lastFailure else { return }
        lastFailure = line
        onNote?(line)
    }

    private func leave() {
        ticker?.cancel()
        waker?.cancel()
        transactions.abandon()
        batch = nil
        // Kept alive until it has left; confined to the loop.
        nonisolated(unsafe) let me = self
        probe.close { me.closeClients() }
    }

    private func closeClients() {
        transactions.close()
        // Kept alive until the consumer has left; its answer comes on the loop.
        nonisolated(unsafe) let me = self
        consumer.close(on: transactions.worker) {
            me.onStopped?()
            me.onStopped = nil
        }
        transactions.worker.stop()
    }
}
