internal import EventLoop
internal import Kafka
internal import Lanes
internal import Models

/// One batch while it is worked on. Loop thread only.
final class Work {
    /// Whose records go one after another: a person's; a parked push waits for nobody.
    enum Line: Hashable {
        case person(PersonID)
        case parked(Int)
    }

    /// A record that needs a push.
    struct Item {
        /// Of the record in its batch.
        let index: Int
        let message: PushMessage
        let person: PersonID
        /// ms since 1970.
        let accepted: Int64
        /// What remains to be done; nil: everything.
        var parked: ParkedPush?
        /// Devices without an outcome.
        var open = 0
    }

    let batch: RecordBatch
    /// By their numbers in `lanes`.
    var items: [Item] = []
    /// Look-ups of people's devices, and the sending that follows each.
    var lanes: Lanes<Line>
    /// Parked pushes that are not due, by their numbers.
    var waiting: [Int] = []
    /// Looks at `waiting` again.
    var timer: LoopTimer?
    /// The group has given its records to another member, or the service ends.
    private(set) var isCancelled = false
    /// By the record's index.
    private var outputs: [Int: [OutgoingRecord]] = [:]
    private var deadLetters: Set<Int> = []

    /// Failures of a look-up, no outage among them, after which a record is given up.
    static let lookupAttempts = 5

    init(_ batch: RecordBatch) {
        self.batch = batch
        // At most one look-up a record is under way, and PUSH_BATCH_RECORDS or PUSH_PARKED_RECORDS bounds these.
        lanes = Lanes(LaneBounds(calls: max(1, batch.records.count), attempts: Self.lookupAttempts))
    }

    /// Every record has an outcome.
    var isDone: Bool { lanes.isEmpty && waiting.isEmpty }

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
