/// Records handed to a service together, in order within each partition. Loop thread only.
///
/// A service may end a batch with one `finish`. If the outputs are many, it writes them in steps. `commit` passes the first records
/// of the batch, or writes outputs alone, and the batch goes on. `finish(through:)` ends the batch early, and the records that it
/// leaves come with the next batch.
public final class RecordBatch {
    public let records: [KafkaRecord]

    let number: UInt64
    let membership: GroupMembership?
    /// Which records have passed, or are about to pass with the transaction under way.
    private(set) var positions = BatchPositions()
    /// Records whose positions are committed.
    private(set) var passed = 0
    /// The batch holds the records before this one. The pipeline has the others again.
    private(set) var end: Int
    private weak var pipeline: RecordPipeline?

    init(number: UInt64, records: [KafkaRecord], membership: GroupMembership?, pipeline: RecordPipeline?) {
        self.number = number
        self.records = records
        end = records.count
        self.membership = membership
        self.pipeline = pipeline
    }

    /// False once the group has taken the partitions back. Another member will do what is not done yet.
    public var isCurrent: Bool { pipeline?.isCurrent(number) ?? false }

    /// One step of a batch that goes on. `outputs`, and the offsets that pass its first `count` records, are committed in one
    /// transaction, which is tried until it passes. Then `then` is called on the loop, once. It is never called if the group
    /// takes the batch back. A batch takes one step at a time: before `then`, another `commit` or `finish` is ignored.
    ///
    /// A `count` that passes no further record writes the outputs alone: a portion of the many outputs of one record. If the
    /// process dies before that record passes, the record is read again and these outputs are written again. Readers know a
    /// repetition by the ids in them.
    public func commit(_ outputs: [OutgoingRecord], through count: Int, then: @escaping () -> Void) {
        pipeline?.step(self, outputs, through: count, then)
    }

    /// Ends the batch. `outputs` and the offsets that pass the batch are committed in one transaction, which is tried until it
    /// passes. A batch without outputs whose repetition harms nothing may say `.plain`: its offsets are then committed alone, and
    /// nothing waits for that. A second call does nothing, and neither does a call for a batch that is not current.
    public func finish(_ outputs: [OutgoingRecord] = [], commit: OffsetCommit = .transaction) {
        finish(outputs, through: records.count, commit: commit)
    }

    /// Ends the batch after its first `count` records. The others come first in the next batch.
    public func finish(_ outputs: [OutgoingRecord] = [], through count: Int, commit: OffsetCommit = .transaction) {
        pipeline?.finish(self, outputs, through: count, commit)
    }

    /// Where the group goes on in the partition of the last record that passed.
    var lastPassed: PartitionOffset? {
        guard positions.count > 0 else { return nil }
        let last = records[positions.count - 1]
        return PartitionOffset(topic: last.topic, partition: last.partition, next: last.offset &+ 1)
    }

    /// Gives back the records that do not pass.
    func leaveRest() -> ArraySlice<KafkaRecord> {
        end = positions.count
        return records[end...]
    }

    /// What was about to pass has passed.
    func hasPassed() { passed = positions.count }

    func pass(through count: Int) { positions.pass(records, through: count) }

    /// The offsets to commit now. If nothing has passed yet, this is the offset of the first record: the broker then still checks
    /// that this member belongs to the group.
    var offsets: [PartitionOffset] {
        if let first = records.first, positions.offsets.isEmpty {
            return [PartitionOffset(topic: first.topic, partition: first.partition, next: first.offset)]
        }
        return positions.offsets
    }
}
