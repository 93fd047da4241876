/// How a finished batch's offsets are committed.
public enum OffsetCommit: Equatable, Sendable {
    /// With the outputs, in one transaction.
    case transaction
    /// Alone and without waiting; only for a batch without outputs whose repetition harms nothing.
    case plain
}

/// The order of things in a `RecordPipeline`: when a batch is handed out, when its transaction begins, and what a rebalance,
/// an outage or the end does to it. An event goes in, actions come out; the pipeline performs them in order.
///
/// One batch exists at a time. It is processing (with the service), settling (waiting for plain commits of batches before it),
/// committing (with the worker) or retrying (waiting to commit again); after a step it is with the service once more. Times are
/// milliseconds of one monotonic clock.
struct TransactionMachine {
    enum Event: Equatable {
        /// The group gave partitions to this member.
        case assigned
        /// The group takes them all back; it waits for `unassign`.
        case revoked
        /// They stay this member's, and are not read: begin with them again.
        case unread
        /// Records wait in the buffer: how many in all.
        case held(Int)
        /// The service has outputs of a batch that it goes on with.
        case stepped(batch: UInt64)
        /// The service is done with a batch.
        case finished(batch: UInt64, OffsetCommit)
        /// The worker is done with the transaction of the batch.
        case transacted(batch: UInt64, Outcome)
        /// A plain commit was answered, well or not.
        case plainCommitAnswered
        /// The service wants no batches, or wants them again.
        case paused, resumed
        /// Time has passed.
        case tick
        /// Leave the group soon.
        case stop
        /// The service had long enough to finish: leave without its batch.
        case stopNow
    }

    enum Outcome: Equatable {
        /// Outputs and offsets are there, together.
        case committed
        /// A portion of the outputs is there; the others follow in another transaction.
        case partly
        /// Neither is there, and the transaction is over.
        case failed
        /// Given up on request (`abandon`); neither will be there.
        case abandoned
    }

    enum Action: Equatable {
        /// Hand what is held to the service, as the batch of this number.
        case dispatch(UInt64)
        /// Write the batch's outputs and offsets in one transaction, on the worker.
        case transact(UInt64)
        /// The step is there: the service goes on with the batch.
        case proceed(UInt64)
        /// Commit the batch's offsets plainly; one `plainCommitAnswered` must follow.
        case commitPlainly(UInt64)
        /// The batch is over: nothing of it is needed.
        case forget(UInt64)
        /// What is held belongs to someone else now.
        case dropHeld
        /// The worker shall give up at its next wait.
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

    /// A batch is handed out at once if this long has passed since the one before it was, else when it has: batches begin
    /// this far apart, and what a commit takes is not added to it.
    let interval: UInt64
    /// The same after a batch without a transaction: a plain commit costs the broker little.
    private var plainInterval: UInt64 { interval / 4 }
    /// The mock drops offsets sent in a transaction: commit them plainly after it.
    let commitsTwice: Bool

    /// How long a revocation waits for the answers of plain commits, in ms.
    static let plainCommitPatience: UInt64 = 1_000

    private(set) var phase = Phase.idle
    private(set) var isAssigned = false
    private(set) var isRevoking = false
    /// What is under way is no revocation: the same partitions are read again afterwards.
    private var isReassigning = false
    private(set) var isPaused = false
    private(set) var isStopping = false
    private(set) var hasLeft = false
    /// Plain commits without an answer. No transaction begins before they are answered, or an older position could overtake it.
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
        // Whoever is given partitions begins with them anyway.
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
        // Of a batch that was dropped meanwhile, the end means nothing.
        guard phase == .processing(batch) else { return }
        switch commit {
        case .transaction: phase = .settling(.last(batch))
        case .plain:
            plainCommits += 1
            due = dispatchedAt &+ plainInterval
            actions.append(.commitPlainly(batch))
            end(batch, &actions)
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
            guard transaction == .step(batch) else { return end(batch, &actions) }
            phase = .processing(batch)
            // Of a batch that the group wants back, nothing need be gone on with.
            if !isRevoking { actions.append(.proceed(batch)) }
        case .partly:
            failures = 0
            phase = .settling(transaction)
        case .failed:
            failures += 1
            phase = .retrying(transaction, at: now &+ min(2_000, 50 << min(failures, 6)))
        case .abandoned:
            end(batch, &actions)
        }
    }

    private mutating func end(_ batch: UInt64, _ actions: inout [Action]) {
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

    /// What the worker has begun it ends, for the old generation still counts until `unassign`; all else is dropped.
    private mutating func revoke(_ now: UInt64, _ actions: inout [Action]) {
        switch phase {
        case .committing:
            if !isReassigning { actions.append(.abandon) }
            return
        case .processing(let batch): drop(batch, &actions)
        case .settling(let transaction), .retrying(let transaction, _): drop(transaction.batch, &actions)
        case .idle: break
        }
        // The next owner shall begin where these put it. Without an answer it begins earlier, which harms nothing but takes time.
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
