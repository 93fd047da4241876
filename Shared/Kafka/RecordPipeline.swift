internal import CRDKafka
public import EventLoop

/// Reads topics as a member of a group, hands out batches, and commits the outputs of each batch together with its offsets in one
/// transaction. Readers of committed records see the outputs of a record exactly once, whatever dies in between. There is one
/// exception: if the only broker dies in the middle of a commit, a batch may be written twice (decision 0014).
///
/// One batch is in flight. A rebalance drops the batch (its `finish` does nothing any more) or waits for its transaction. An
/// outage of the broker says nothing about a record: everything is held and tried again until it passes. Loop thread only;
/// calls that block run on a worker.
public final class RecordPipeline {
    /// Called with a batch to work on. The service calls `finish` on it, now or later.
    public var onBatch: ((RecordBatch) -> Void)?
    /// Called with the first state, and then with each change. The pipeline is up while the broker answers, the group has given
    /// this member its partitions (perhaps none), and its batches pass. It is down, with the reason, if a batch has not passed
    /// for 30 s.
    public var onState: ((BrokerState) -> Void)?
    /// Called with a line that an operator may want to read. It is rare.
    public var onNote: ((String) -> Void)?
    /// Called with a line upon which an operator must act. A line that repeats is told once.
    public var onAlarm: ((String) -> Void)?
    /// Asked what to write in the place of an output that Kafka will never take, because it is too large for example. `nil`
    /// drops the output with a note. The replacement may be refused as well: answer `nil` to that.
    public var onRefused: ((OutgoingRecord, KafkaError) -> OutgoingRecord?)?
    public weak var ahead: (any RecordsAhead)?

    let loop: EventLoop
    private let settings: KafkaSettings
    private let limits: PipelineLimits
    private let patterns: TopicPatterns
    let consumer: Consumer
    private let transactions: TransactionThread
    private let probe: BrokerProbe
    private(set) var machine: TransactionMachine
    /// How much a transaction writes at present. Outputs beyond it are written in several transactions.
    public private(set) var bound: TransactionBound
    var held = HeldRecords()
    private(set) var progress = PartitionProgress()
    private(set) var batch: RecordBatch?
    /// What is written for the batch at present.
    private var staged: StagedTransaction?
    private var lastTransaction: UInt64 = 0
    private var ticker: LoopTimer?
    private var waker: LoopTimer?
    /// Some partitions of this assignment are not read.
    private var areSomeUnread = false
    private var doubt = CommitDoubt()
    private var onStopped: (() -> Void)?
    private var health = PipelineHealth()
    /// When the outputs were staged, or last made progress.
    private(set) var writingSince: UInt64?
    private var lastReason: String?
    private var told = ToldLines()
    private let transactionalID: String

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
        patterns = TopicPatterns(topics: topics.map(settings.subscription), excluding: excluding)
        transactionalID = settings.transactionalID(ofService: service)
        bound = TransactionBound(
            records: limits.transactionRecords, bytes: limits.transactionBytes,
            time: ClientProperties.transactional(settings, id: transactionalID).transactionTime)
        machine = TransactionMachine(interval: limits.commitInterval, commitsTwice: settings.isMock)
        consumer = try Consumer(
            loop: loop,
            properties: .consumer(
                settings, group: settings.group(ofService: service), excluding: excluding,
                creates: !topics.contains { $0.hasPrefix("^") }))
        transactions = TransactionThread(
            loop: loop, settings: settings, transactionalID: transactionalID, consumer: consumer.client)
        probe = BrokerProbe(loop: loop, client: consumer.client, name: "kafka-probe")
    }

    /// Joins the group. Once.
    public func start() throws(KafkaError) {
        loop.assertCurrent()
        consumer.onReady = { [unowned self] in self.drain() }
        consumer.onRebalance = { [unowned self] in self.rebalanced($0) }
        consumer.onCommitted = { [unowned self] in self.plainCommitAnswered($0) }
        consumer.onError = { [unowned self] in self.failed($0) }
        consumer.onEnd = { [unowned self] in self.progress.reached($0) }
        consumer.onUnread = { [unowned self] in self.unread($0) }
        probe.onState = { [unowned self] in self.stateChanged($0) }
        try consumer.subscribe(patterns.topics)
        probe.start()
        transactions.prepare()
        // A consumer that is not polled for a long time leaves its group, even if its topics are quiet.
        ticker = loop.timer(after: .seconds(1), every: .seconds(1)) { [unowned self] in self.tick() }
    }

    /// Hands out no batch until `resume`. The batch in flight goes on, and the partitions stay this member's.
    public func pause() { feed(.paused) }

    public func resume() { feed(.resumed) }

    /// Waits for the batch in flight, commits it, and leaves the group. When `stopPatience` is over, it leaves without the batch.
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

    /// The generation of the group, while this is a member.
    var generation: Int32? { consumer.membership?.generation }

    func isCurrent(_ number: UInt64) -> Bool { machine.isOpen(number) && batch?.number == number }

    func step(_ batch: RecordBatch, _ outputs: [OutgoingRecord], through count: Int, _ then: @escaping () -> Void) {
        guard stage(batch, outputs, count, then) else { return }
        feed(.stepped(batch: batch.number))
    }

    func finish(_ batch: RecordBatch, _ outputs: [OutgoingRecord], through count: Int, _ commit: OffsetCommit) {
        guard stage(batch, outputs, count, nil) else { return }
        // Nothing else is handed out before this has passed. If the group takes the partitions back, this is dropped as well.
        held.putBack(batch.leaveRest())
        feed(.finished(batch: batch.number, outputs.isEmpty ? commit : .transaction))
        feed(.held(held.count))
    }

    private func stage(
        _ batch: RecordBatch, _ outputs: [OutgoingRecord], _ through: Int, _ then: (() -> Void)?
    ) -> Bool {
        loop.assertCurrent()
        guard machine.phase == .processing(batch.number), self.batch === batch else { return false }
        lastTransaction &+= 1
        let (count, before) = (batch.positions.count, batch.offsets)
        batch.pass(through: through)
        staged = StagedTransaction(
            number: lastTransaction, outputs: outputs, before: before, after: batch.offsets,
            passes: batch.positions.count > count ? batch.lastPassed : nil, then: then)
        writingSince = loop.now
        return true
    }

    // MARK: Reading

    /// Looks for records that wait. It holds a few of each topic. The others stay with librdkafka until a batch takes them.
    private func drain() {
        guard !machine.hasLeft else { return }
        consumer.serve()
        guard machine.isAssigned, !machine.isRevoking else { return feed(.held(0)) }
        hold()
        feed(.held(held.count))
    }

    private func tick() {
        consumer.leadAgain()
        restarted(progress.partitions.compactMap { progress.high($0, consumer.high($0)) })
        drain()
        consumer.takeAnswers()
        // Not at once: while a coordinator is being elected, each answer is the same error.
        feed(areSomeUnread ? .unread : .tick)
        areSomeUnread = false
        if health.isJoining { lookForTopics() }
        tell(health.writing(since: writingSince, now: loop.now, reason: lastReason))
    }

    private func rebalanced(_ rebalance: Consumer.Rebalance) {
        switch rebalance {
        case .assigned(let count):
            onNote?("the group gave this member \(count) partitions")
            dropHeld()
            progress.assign(consumer.partitions)
            feed(.assigned)
            endPending()
            tell(health.joined())
        case .revoked: feed(.revoked)
        }
    }

    private func failed(_ error: KafkaError) {
        // The probe tells of an outage.
        if error.isOutage { return probe.ask() }
        let line = "reading: \(error)"
        if told.isNew(once: line) { onNote?(line) }
    }

    private func unread(_ error: KafkaError) {
        areSomeUnread = true
        note("the group did not say where its partitions stand, and is asked again", error)
        if error.isOutage { probe.ask() }
    }

    private func stateChanged(_ state: BrokerState) {
        tell(health.broker(state))
        guard state == .up else { return doubt.brokerIsMissed(now: loop.now) }
        if let line = consumer.logSummary { onNote?(line) }
        guard doubt.brokerIsBack(), !settings.isMock else { return }
        feed(.unread)
        endPending()
    }

    /// If no topic exists, librdkafka does not join the group, and there is not even an empty assignment.
    private func lookForTopics() {
        probe.look(for: patterns) { [weak self] found in
            if let self, found == .missing { self.tell(self.health.joined()) }
        }
    }

    private func tell(_ state: BrokerState?) {
        if let state { onState?(state) }
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
            // On the mock these have passed already.
            if !settings.isMock { pass() }
            guard let batch, batch.number == number, consumer.commit(batch.offsets) else {
                return loop.atTurnEnd { [weak self] in self?.feed(.plainCommitAnswered) }
            }
        case .proceed:
            let then = staged?.then
            unstage()
            then?()
        case .forget:
            batch = nil
            unstage()
        case .dropHeld: dropHeld()
        case .abandon: transactions.abandon()
        case .unassign: consumer.unassign()
        case .reassign: consumer.reassign()
        case .leave: leave()
        case .wake(let at):
            let delay = at > loop.now ? at - loop.now : 0
            waker?.cancel()
            waker = loop.timer(after: .milliseconds(Int64(clamping: delay))) { [weak self] in self?.feed(.tick) }
        }
    }

    private func unstage() {
        staged = nil
        writingSince = nil
        lastReason = nil
    }

    private func dispatch(_ number: UInt64) {
        let records = held.nextBatch(limits.records, bytes: limits.bytes) { consumer.next($0) }
        let batch = RecordBatch(number: number, records: records, membership: consumer.membership, pipeline: self)
        self.batch = batch
        // A queue that is not empty does not announce what is left in it.
        loop.atTurnEnd { [weak self] in self?.drain() }
        onBatch?(batch)
    }

    private func transact(_ number: UInt64) {
        guard let batch, batch.number == number, let membership = batch.membership, let portion = staged?.next(bound),
            let staged
        else { return loop.atTurnEnd { [weak self] in self?.feed(.transacted(batch: number, .failed)) } }
        let content = TransactionContent(
            number: staged.number, outputs: portion.outputs, offsets: portion.offsets, proof: portion.proof, membership: membership)
        let begun = loop.now
        transactions.run(content) { [self] in transacted(number, $0, after: loop.now &- begun) }
    }

    private func transacted(_ number: UInt64, _ result: TransactionResult, after elapsed: UInt64) {
        switch result {
        case .committed:
            bound.passed()
            passed(number, staged?.passed() ?? true)
        case .stands: passed(number, true)
        case .failed(let error):
            lastReason = error.description
            failedTransaction(error, elapsed)
            if error.isOutage { probe.ask() }
            if let staged {
                bound.failed(error, after: elapsed, records: staged.portion.count, bytes: staged.portionBytes)
            }
            feed(.transacted(batch: number, .failed))
        case .refused(let index, let error):
            staged?.replace(at: index) { replacement(for: $0, error) }
            feed(.transacted(batch: number, .failed))
        case .abandoned:
            // Readers wait behind the open transaction until a new producer has ended it.
            if !machine.isStopping { transactions.prepare() }
            feed(.transacted(batch: number, .abandoned))
        }
    }

    private func failedTransaction(_ error: KafkaError, _ elapsed: UInt64) {
        // The broker says the same of a transaction that was open for too long.
        guard error.isFenced, !bound.isSlow(elapsed) else { return note("a transaction did not pass and is tried again", error) }
        alarm(
            "another process writes as \(transactionalID): two instances that share an INSTANCE_ID fence each other, give each its own")
    }

    private func alarm(_ line: String) {
        if told.isNew(once: line) { onAlarm?(line) }
    }

    private func passed(_ number: UInt64, _ isLast: Bool) {
        if isLast { pass() }
        told.somethingPassed()
        doubt.committed(now: loop.now)
        writingSince = loop.now
        feed(.transacted(batch: number, isLast ? .committed : .partly))
    }

    /// The staged outputs have passed.
    private func pass() {
        guard let batch else { return }
        batch.hasPassed()
        restarted(progress.pass(batch.positions.offsets))
    }

    private func restarted(_ topics: [String]) {
        for topic in Set(topics) {
            alarm("the topic \(topic) was deleted and made again; records written before this was noticed may have been skipped")
        }
    }

    private func replacement(for refused: OutgoingRecord, _ error: KafkaError) -> OutgoingRecord? {
        let replacement = onRefused?(refused, error)
        if replacement == nil { note("a record that Kafka does not take was dropped", error) }
        return replacement
    }

    /// A group with pending offsets does not say where it stands. A member that begins with partitions ends what it has left
    /// pending.
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

    private func note(_ what: String, _ error: KafkaError) {
        let line = "\(what): \(error)"
        if told.isNew(failure: line) { onNote?(line) }
    }

    private func leave() {
        ticker?.cancel()
        waker?.cancel()
        transactions.abandon()
        batch = nil
        // A call of the client may hang for longer than the process may wait. The process then ends without it.
        loop.timer(after: limits.stopPatience) { [self] in reportStopped() }
        // Kept alive until it has left; confined to the loop.
        nonisolated(unsafe) let me = self
        probe.close { me.closeClients() }
    }

    private func closeClients() {
        transactions.close()
        // Kept alive until the consumer has left; its answer comes on the loop.
        nonisolated(unsafe) let me = self
        consumer.close(on: transactions.worker) { me.reportStopped() }
        transactions.worker.stop()
    }

    private func reportStopped() {
        onStopped?()
        onStopped = nil
    }
}
