/// What is written for a batch at present. The bound may allow one transaction for it, or need several. Only the last of these
/// passes offsets. Each is tried until it passes.
struct StagedTransaction {
    let number: UInt64
    private(set) var outputs: [OutgoingRecord]
    /// Where the group stands before this, and after it.
    let before: [PartitionOffset]
    let after: [PartitionOffset]
    /// An offset of `after` that no earlier transaction has reached; `nil` if this passes no record.
    let passes: PartitionOffset?
    /// How the service goes on; `nil` at the end of the batch.
    let then: (() -> Void)?
    /// How many outputs the earlier transactions have written.
    private(set) var written = 0
    /// Which outputs the transaction under way writes.
    private(set) var portion = 0..<0

    init(
        number: UInt64, outputs: [OutgoingRecord], before: [PartitionOffset], after: [PartitionOffset],
        passes: PartitionOffset?, then: (() -> Void)?
    ) {
        self.number = number
        self.outputs = outputs
        self.before = before
        self.after = after
        self.passes = passes
        self.then = then
    }

    /// What one transaction writes, and which positions it passes.
    struct Portion {
        let outputs: ArraySlice<OutgoingRecord>
        let offsets: [PartitionOffset]
        let proof: PartitionOffset?
    }

    /// What the next transaction writes.
    mutating func next(_ bound: TransactionBound) -> Portion {
        portion = bound.portion(of: outputs, from: written)
        let isLast = portion.upperBound == outputs.count
        return Portion(outputs: outputs[portion], offsets: isLast ? after : before, proof: isLast ? passes : nil)
    }

    /// The transaction under way has passed. Answers whether it was the last.
    mutating func passed() -> Bool {
        written = portion.upperBound
        return written == outputs.count
    }

    var portionBytes: Int { outputs[portion].reduce(0) { $0 &+ $1.size } }

    /// Replaces an output of the transaction under way by what `replacement` answers, or removes it.
    mutating func replace(at index: Int, by replacement: (OutgoingRecord) -> OutgoingRecord?) {
        let place = portion.lowerBound + index
        guard portion.contains(place) else { return }
        let refused = outputs.remove(at: place)
        if let record = replacement(refused) { outputs.insert(record, at: place) }
    }
}
