import Kafka

/// What a batch has for Kafka and not written yet: pushes and dead letters. Once they are many they leave in a transaction of
/// their own, before the batch's end, so that a post to a million people holds no million pushes. Pure.
struct BatchOutputs {
    private var waiting: [OutgoingRecord] = []
    private var bytes = 0
    /// What was taken last is not there yet.
    private var isWriting = false
    private let limits: FanoutLimits

    init(limits: FanoutLimits) { self.limits = limits }

    mutating func append(_ record: OutgoingRecord) {
        waiting.append(record)
        bytes += record.size
    }

    /// As much as one transaction takes is waiting, or more.
    var isFull: Bool { waiting.count >= limits.outputRecords || bytes >= limits.outputBytes }

    /// Nothing is being written: the batch may end with what waits.
    var maySettle: Bool { !isWriting }

    /// What is to be written now, so that more can be taken. Nil while there is room, and while the last ones are on their way.
    mutating func begin() -> [OutgoingRecord]? {
        guard isFull, !isWriting else { return nil }
        isWriting = true
        return take()
    }

    mutating func written() { isWriting = false }

    /// All that waits; nothing stays.
    mutating func take() -> [OutgoingRecord] {
        bytes = 0
        var taken: [OutgoingRecord] = []
        swap(&taken, &waiting)
        return taken
    }
}
