internal import EventLoop
internal import Kafka
internal import Models

/// One batch while it is worked on. Loop thread only.
final class Work {
    let batch: RecordBatch
    /// Records without an outcome.
    var open = 0
    /// Parked pushes that are not due.
    var waiting: [PersonWork] = []
    /// Looks at `waiting` again.
    var timer: LoopTimer?
    /// The group has given its records to another member, or the service ends.
    private(set) var isCancelled = false
    /// By the record's index.
    private var outputs: [Int: [OutgoingRecord]] = [:]
    private var deadLetters: Set<Int> = []

    init(_ batch: RecordBatch) { self.batch = batch }

    func cancel() {
        isCancelled = true
        timer?.cancel()
        timer = nil
        waiting = []
    }

    /// What is written in the transaction that passes the batch, in the order of its records.
    var allOutputs: [OutgoingRecord] { outputs.sorted { $0.key < $1.key }.flatMap(\.value) }

    func write(_ output: OutgoingRecord, for index: Int) { outputs[index, default: []].append(output) }

    /// One dead letter a record, with what the first of its devices met. False: there is one.
    func claimDeadLetter(for index: Int) -> Bool { deadLetters.insert(index).inserted }
}

/// One person's records of a batch, in order; or one parked push, which waits for nobody.
final class PersonWork {
    struct Item {
        /// Of the record in its batch.
        let index: Int
        let message: PushMessage
        let person: PersonID
        /// ms since 1970.
        let accepted: Int64
        /// What remains to be done; nil: everything.
        var parked: ParkedPush?
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
