/// How a finished batch's offsets are committed.
public enum OffsetCommit: Equatable, Sendable {
    /// Together with the outputs, in one transaction.
    case transaction
    /// Alone, and nothing waits for it. Only for a batch without outputs whose repetition harms nothing.
    case plain
}

/// What a `RecordPipeline` does when: when a batch is handed out, when its transaction begins, and what a rebalance, an outage or
/// the end does to it. Pure: an event goes in, actions come out, and the pipeline performs them in order.
///
/// One batch exists at a time. It is processing (with the service), settling (waiting for plain commits of batches before it),
/// committing (with the worker) or retrying (waiting to commit again); after a step it is with the service once more. Times are
/// milliseconds of one monotonic clock.
struct TransactionMachine {
    enum Event: Equatable {
        /// The group gave partitions to this member.
        case assigned
        /// The group takes all partitions back. It waits for `unassign`.
        case revoked
        /// The partitions stay this member's, and are not read: begin with them again.
        case unread
        /// So many records wait in the buffer.
        case held(Int)
        /// The service has outputs of a batch that it goes on with.
        case stepped(batch: UInt64)
        /// The service is done with a batch.
        case finished(batch: UInt64, OffsetCommit)
        /// The worker is done with the transaction of the batch.
        case transacted(batch: UInt64, Outcome)
        /// A plain commit was answered, with success or an error.
        case plainCommitAnswered
        /// The service wants no batches, or wants them again.
        case paused, resumed
        /// Time has passed.
        case tick
        /// Leave the group soon.
        case stop
        /// The service has had enough time: leave without its batch.
        case stopNow
    }

    enum Outcome: Equatable {
        /// Outputs and offsets were written, together.
        case committed
        /// A portion of the outputs was written. The others follow in another transaction.
        case partly
        /// Neither was written, and the transaction is over.
        case failed
        /// Given up on request (`abandon`). Neither will be written.
        case abandoned
    }

    enum Action: Equatable {
        /// Hand what is held to the service, as the batch of this number.
        case dispatch(UInt64)
        /// Write the batch's outputs and offsets in one transaction, on the worker.
        case transact(UInt64)
        /// The step has passed: the service goes on with the batch.
        case proceed(UInt64)
        /// Commit the batch's offsets plainly. One `plainCommitAnswered` must follow.
        case commitPlainly(UInt64)
        /// The batch is over. Nothing of it is needed any more.
        case forget(UInt64)
        /// The records that are held belong to another member now.
        case dropHeld
        /// Ask the worker to give up at its next wait.
        case abandon
        /// Tell the group that the partitions are free.
        case unassign
        /// Read the same partitions from where the group stands.
        case reassign
        /// Leave the group and end.
        case leave
        /// Come back with `tick` at this time.
        case wake(UInt64)
    }

    /// A transaction of a batch: one after which it goes on, or its last.
    enum Transaction: Equatable {
        case step(UInt64)
        case last(UInt64)

        var batch: UInt64 {
            switch self {
            case .step(let batch), .last(let batch): batch
            }
        }
    }

    enum Phase: Equatable {
        case idle
        case processing(UInt64)
        case settling(Transaction)
        case committing(Transaction)
        case retrying(Transaction, at: UInt64)
    }

    /// Batches begin this far apart, in ms. A batch is handed out at once if that much time has passed since the previous one
    /// was. The time of a commit is not added to it.
    let interval: UInt64
    /// The same after a batch without a transaction. It is shorter, because a plain commit costs the broker little.
    private var plainInterval: UInt64 { interval / 4 }
    /// The mock drops offsets sent in a transaction: commit them plainly after it.
    let commitsTwice: Bool

    /// How long a revocation waits for the answers of plain commits, in ms.
    static let plainCommitPatience: UInt64 = 1_000

    private(set) var phase = Phase.idle
    private(set) var isAssigned = false
    private(set) var isRevoking = false
    /// The partitions are not given back: the same ones are read again afterwards.
    private var isReassigning = false
    private(set) var isPaused = false
    private(set) var isStopping = false
    private(set) var hasLeft = false
    /// Plain commits that are not answered. No transaction begins before they are: an older position could overtake it.
    private(set) var plainCommits = 0
    private var revokedAt: UInt64 = 0
    private var held = 0
    private var mustLeaveNow = false
    /// The number of the batch that was handed out last; 0 before the first.
    private(set) var lastBatch: UInt64 = 0
    /// The next batch may be handed out from here on.
    private var due: UInt64 = 0
    private var dispatchedAt: UInt64 = 0
    private var failures: UInt64 = 0
    private var wakeAt: UInt64?

    /// Whether the service has this batch, or goes on with it after the step under way.
    func isOpen(_ batch: UInt64) -> Bool {
        switch phase {
        case .processing(batch), .settling(.step(batch)), .committing(.step(batch)), .retrying(.step(batch), _): true
        default: false
        }
    }

    init(interval: UInt64, commitsTwice: Bool = false) {
        self.interval = interval
        self.commitsTwice = commitsTwice
    }

    mutating func apply(_ event: Event, now: UInt64) -> [Action] {
        if hasLeft { return [] }
        var actions: [Action] = []
        switch event {
        case .assigned:
            isAssigned = true
            isRevoking = false
            isReassigning = false
        case .revoked:
            isRevoking = true
            isReassigning = false
            revokedAt = now
        case .unread where isAssigned && !isRevoking:
            isRevoking = true
            isReassigning = true
            revokedAt = now
        // A member that is given partitions begins to read them anyway.
        case .unread: break
        case .held(let count): held = isAssigned ? count : 0
        case .stepped(let batch): if phase == .processing(batch) { phase = .settling(.step(batch)) }
        case .finished(let batch, let commit): finish(batch, commit, now, &actions)
        case .transacted(let batch, let outcome): transacted(batch, outcome, now, &actions)
        case .plainCommitAnswered: plainCommits = max(0, plainCommits - 1)
        case .paused: isPaused = true
        case .resumed: isPaused = false
        case .tick: if let at = wakeAt, at <= now { wakeAt = nil }
        case .stop: isStopping = true
        case .stopNow:
            isStopping = true
            mustLeaveNow = true
        }
        advance(now, &actions)
        return actions
    }

    private mutating func finish(_ batch: UInt64, _ commit: OffsetCommit, _ now: UInt64, _ actions: inout [Action]) {
        // The end of a batch that was dropped meanwhile means nothing.
        guard phase == .processing(batch) else { return }
        switch commit {
        case .transaction: phase = .settling(.last(batch))
        case .plain:
            plainCommits += 1
            due = dispatchedAt &+ plainInterval
            actions.append(.commitPlainly(batch))
            forget(batch, &actions)
        }
    }

    private mutating func transacted(
        _ batch: UInt64, _ outcome: Outcome, _ now: UInt64, _ actions: inout [Action]
    ) {
        guard case .committing(let transaction) = phase, transaction.batch == batch else { return }
        switch outcome {
        case .committed:
            failures = 0
            if commitsTwice {
                plainCommits += 1
                actions.append(.commitPlainly(batch))
            }
            guard transaction == .step(batch) else { return forget(batch, &actions) }
            phase = .processing(batch)
            // The group wants the batch back, so the service need not go on with it.
            if !isRevoking { actions.append(.proceed(batch)) }
        case .partly:
            failures = 0
            phase = .settling(transaction)
        case .failed:
            failures += 1
            phase = .retrying(transaction, at: now &+ min(2_000, 50 << min(failures, 6)))
        case .abandoned:
            forget(batch, &actions)
        }
    }

    private mutating func forget(_ batch: UInt64, _ actions: inout [Action]) {
        phase = .idle
        actions.append(.forget(batch))
    }

    private mutating func advance(_ now: UInt64, _ actions: inout [Action]) {
        if isRevoking { revoke(now, &actions) }
        if isStopping { leave(&actions) }
        if hasLeft || isRevoking { return }
        switch phase {
        case .settling(let transaction) where plainCommits == 0:
            phase = .committing(transaction)
            actions.append(.transact(transaction.batch))
        case .retrying(let transaction, let at):
            if at <= now {
                phase = .settling(transaction)
                advance(now, &actions)
            } else {
                wake(at, &actions)
            }
        case .idle where isAssigned && !isPaused && !isStopping && held > 0:
            if due <= now { dispatch(now, &actions) } else { wake(due, &actions) }
        default: break
        }
    }

    private mutating func dispatch(_ now: UInt64, _ actions: inout [Action]) {
        lastBatch &+= 1
        dispatchedAt = now
        due = now &+ interval
        held = 0
        phase = .processing(lastBatch)
        actions.append(.dispatch(lastBatch))
    }

    /// The worker ends the transaction that it has begun: the old generation counts until `unassign`. All else is dropped.
    private mutating func revoke(_ now: UInt64, _ actions: inout [Action]) {
        switch phase {
        case .committing:
            if !isReassigning { actions.append(.abandon) }
            return
        case .processing(let batch): drop(batch, &actions)
        case .settling(let transaction), .retrying(let transaction, _): drop(transaction.batch, &actions)
        case .idle: break
        }
        // The next owner begins where these commits put the group. Without their answers it may begin earlier, which only costs
        // time.
        let patience = revokedAt &+ Self.plainCommitPatience
        guard plainCommits == 0 || patience <= now else { return wake(patience, &actions) }
        isRevoking = false
        isAssigned = isReassigning
        failures = 0
        held = 0
        actions.append(.dropHeld)
        actions.append(isReassigning ? .reassign : .unassign)
        isReassigning = false
    }

    private mutating func leave(_ actions: inout [Action]) {
        switch phase {
        case .processing(let batch) where mustLeaveNow: drop(batch, &actions)
        case .settling(let transaction) where mustLeaveNow: drop(transaction.batch, &actions)
        case .retrying(let transaction, _): drop(transaction.batch, &actions)
        case .committing where mustLeaveNow: actions.append(.abandon)
        default: break
        }
        guard phase == .idle, plainCommits == 0 || mustLeaveNow else { return }
        hasLeft = true
        actions.append(.dropHeld)
        actions.append(.leave)
    }

    private mutating func drop(_ batch: UInt64, _ actions: inout [Action]) {
        phase = .idle
        actions.append(.forget(batch))
    }

    private mutating func wake(_ at: UInt64, _ actions: inout [Action]) {
        if let known = wakeAt, known <= at { return }
        wakeAt = at
        actions.append(.wake(at))
    }
}
