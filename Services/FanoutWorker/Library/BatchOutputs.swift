import Kafka

/// The pushes and dead letters of a batch that are not written to Kafka yet. When there are many, they leave in a transaction
/// of their own, before the end of the batch. So a post to a million people does not keep a million pushes in memory. Pure.
struct BatchOutputs {
    private var waiting: [OutgoingRecord] = []
    private var bytes = 0
    /// The outputs that were taken last are not written yet.
    private var isWriting = false
    private let limits: FanoutLimits

    init(limits: FanoutLimits) { self.limits = limits }

    mutating func append(_ record: OutgoingRecord) {
        waiting.append(record)
        bytes += record.size
    }

    /// At least as much is waiting as one transaction takes.
    var isFull: Bool { waiting.count >= limits.outputRecords || bytes >= limits.outputBytes }

    /// Nothing is being written. The batch may end with the outputs that wait.
    var maySettle: Bool { !isWriting }

    /// The outputs that are to be written now, to make room. Nil while there is room, and while earlier ones are being written.
    mutating func begin() -> [OutgoingRecord]? {
        guard isFull, !isWriting else { return nil }
        isWriting = true
        return take()
    }

    mutating func written() { isWriting = false }

    /// Takes all outputs that wait.
    mutating func take() -> [OutgoingRecord] {
        bytes = 0
        var taken: [OutgoingRecord] = []
        swap(&taken, &waiting)
        return taken
    }
}
