import TestSupport

@testable import Kafka

/// A group, a worker and a service around the machine, and what may never happen.
struct World {
    var machine: TransactionMachine
    var now: UInt64 = 1_000
    var broken: String?
    private var held = 0
    private var open: UInt64?
    private var withWorker: UInt64?
    private var withService: UInt64?
    private var inStep: UInt64?
    private var plain = 0
    private var owns = false
    private var revoking = false
    private var left = false
    private var wakeAt: UInt64?

    init(machine: TransactionMachine) { self.machine = machine }

    mutating func step(_ random: inout SeededGenerator) {
        if left { return }
        now += random.next() % 30
        let choice = random.next() % 13
        switch choice {
        case 0 where !owns && !revoking:
            owns = true
            feed(.assigned)
        case 1 where owns && !revoking && random.next() % 4 == 0:
            revoking = true
            feed(.revoked)
        case 2, 3, 4:
            held += owns && !revoking ? 1 : 0
            feed(.held(held))
        case 5, 6:
            if let batch = withService {
                withService = nil
                switch random.next() % 6 {
                case 0, 1: feed(.finished(batch: batch, .plain))
                case 2, 3:
                    inStep = batch
                    feed(.stepped(batch: batch))
                default: feed(.finished(batch: batch, .transaction))
                }
            }
        case 7, 8:
            if let batch = withWorker {
                withWorker = nil
                feed(.transacted(batch: batch, [.committed, .committed, .partly, .failed, .abandoned][Int(random.next() % 5)]))
            }
        case 9 where plain > 0:
            plain -= 1
            feed(.plainCommitAnswered)
        case 10: feed(random.next() % 2 == 0 ? .paused : .resumed)
        case 12 where random.next() % 4 == 0: feed(.unread)
        case 11 where random.next() % 40 == 0: feed(random.next() % 2 == 0 ? .stop : .stopNow)
        default: feed(.tick)
        }
    }

    /// Everyone answers what was asked; then the machine must have come to rest and left.
    mutating func settle() {
        feed(.resumed)
        feed(.stop)
        for _ in 0..<20 {
            now += 3_000
            if let batch = withWorker {
                withWorker = nil
                feed(.transacted(batch: batch, .committed))
            }
            if let batch = withService {
                withService = nil
                feed(.finished(batch: batch, .transaction))
            }
            while plain > 0 {
                plain -= 1
                feed(.plainCommitAnswered)
            }
            feed(.tick)
        }
        if !left { broken = broken ?? "it did not leave: \(machine)" }
        if revoking { broken = broken ?? "a revocation was never answered" }
        if inStep != nil { broken = broken ?? "a step never ended" }
    }

    private mutating func feed(_ event: TransactionMachine.Event) {
        if let at = wakeAt, at <= now { wakeAt = nil }
        for action in machine.apply(event, now: now) { perform(action) }
    }

    private mutating func check(_ rule: Bool, _ words: String) {
        if !rule { broken = broken ?? "\(words): \(machine)" }
    }

    private mutating func perform(_ action: TransactionMachine.Action) {
        check(!left, "an action after the end")
        switch action {
        case .dispatch(let batch):
            check(open == nil, "two batches")
            check(owns && !revoking && held > 0, "a batch of nothing, or of another's")
            held = 0
            open = batch
            withService = batch
        case .transact(let batch):
            check(open == batch && withService == nil && withWorker == nil, "a transaction of no batch")
            check(plain == 0, "a transaction beside a plain commit")
            withWorker = batch
        case .commitPlainly(let batch):
            check(open == batch && withWorker == nil, "a commit of no batch, or beside a transaction")
            plain += 1
        case .proceed(let batch):
            check(open == batch && inStep == batch && withWorker == nil, "went on with a batch that was in no step")
            inStep = nil
            withService = batch
        case .forget(let batch):
            check(open == batch && withWorker == nil, "forgot what was still in work")
            open = nil
            inStep = nil
            withService = nil
        case .dropHeld: held = 0
        case .abandon: check(withWorker != nil, "abandoned nothing")
        case .unassign:
            check(revoking && open == nil && held == 0, "gave partitions away with something in work")
            revoking = false
            owns = false
        case .reassign: check(owns && !revoking && open == nil && held == 0, "began again with something in work")
        case .leave:
            check(open == nil && withWorker == nil, "left with something in work")
            left = true
            revoking = false
        case .wake(let at): wakeAt = at
        }
    }
}
