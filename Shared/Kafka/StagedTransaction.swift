/// What is written for a batch at present, and tried again until it holds.
struct StagedTransaction {
    let number: UInt64
    var outputs: [OutgoingRecord]
    /// A position that it is the first to reach; `nil` if it passes no record.
    let passes: PartitionOffset?
    /// How the service goes on; `nil` for the batch's last one.
    let then: (() -> Void)?

    mutating func remove(at index: Int) -> OutgoingRecord? {
        outputs.indices.contains(index) ? outputs.remove(at: index) : nil
    }
}
