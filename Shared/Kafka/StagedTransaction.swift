/// What is written for a batch at present: in one transaction if the bound allows it, else in several, of which only the last passes
/// offsets. Each is tried until it holds.
struct StagedTransaction {
    let number: UInt64
    private(set) var outputs: [OutgoingRecord]
    /// Where the group goes on before this, and behind it.
    let before: [PartitionOffset]
    let after: [PartitionOffset]
    /// One of `after` that this is the first to reach; `nil` if it passes no record.
    let passes: PartitionOffset?
    /// How the service goes on; `nil` for the batch's last one.
    let then: (() -> Void)?
    /// Outputs that earlier transactions of this have written, and those of the one under way.
    private(set) var written = 0
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

    /// What one transaction of it writes, and which of its positions it passes.
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

    /// The one under way is there. Answers whether it was the last.
    mutating func passed() -> Bool {
        written = portion.upperBound
        return written == outputs.count
    }

    var portionBytes: Int { outputs[portion].reduce(0) { $0 &+ $1.size } }

    /// Takes out an output of the transaction under way. What `replacement` answers stands in its place.
    mutating func replace(at index: Int, by replacement: (OutgoingRecord) -> OutgoingRecord?) {
        let place = portion.lowerBound + index
        guard portion.contains(place) else { return }
        let refused = outputs.remove(at: place)
        if let record = replacement(refused) { outputs.insert(record, at: place) }
    }
}
