import Kafka
import Models

/// The outputs of one transaction: the records of as many events of a batch as the bound allows, and at least of one. The other
/// events come again with the next batch, behind whatever has arrived meanwhile on other topics.
struct TransactionDraft {
    private(set) var outputs: [OutgoingRecord] = []
    /// What became of each event, in order.
    private(set) var outcomes: [EventOutcome] = []

    private let bound: TransactionBound
    private var bytes = 0

    init(_ bound: TransactionBound, capacity: Int) {
        self.bound = bound
        outputs.reserveCapacity(min(capacity, bound.records))
    }

    /// Adds one event, translated by `translate`. Answers whether the next one may be added too; after `false` the draft is complete.
    mutating func add(_ translate: (inout [OutgoingRecord]) -> EventOutcome) -> Bool {
        let first = outputs.count
        let outcome = translate(&outputs)
        var size = bytes
        for output in outputs[first...] { size &+= output.size }
        if !outcomes.isEmpty, bound.isPassed(records: outputs.count, bytes: size) {
            outputs.removeSubrange(first...)
            return false
        }
        bytes = size
        outcomes.append(outcome)
        return true
    }
}
