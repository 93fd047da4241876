/// Records handed to a service together, in order within each partition. Loop thread only.
///
/// A service may end a batch with one `finish`. Where its outputs are many, it writes them in steps: `commit` passes a prefix of the
/// batch, or writes outputs alone, and the batch goes on; `finish(through:)` ends it early, and what it leaves comes with the next batch.
public final class RecordBatch {
    public let records: [KafkaRecord]

    let number: UInt64
    let membership: GroupMembership?
    /// What has passed or is about to: the offsets of the transaction under way are among these.
    private(set) var positions = BatchPositions()
    /// Records whose positions are committed.
    private(set) var passed = 0
    /// It holds the records before this one; those that it left are the pipeline's again.
    private(set) var end: Int
    private weak var pipeline: RecordPipeline?

    init(number: UInt64, records: [KafkaRecord], membership: GroupMembership?, pipeline: RecordPipeline?) {
        self.number = number
        self.records = records
        end = records.count
        self.membership = membership
        self.pipeline = pipeline
    }

    /// False once the group has taken the partitions back: what is not done yet need not be done, another member will.
    public var isCurrent: Bool { pipeline?.isCurrent(number) ?? false }

    /// One step of a batch that goes on: `outputs`, and the offsets that pass its first `count` records, are committed in
    /// one transaction, which is tried until it holds. Then `then` is called on the loop, once; never if the group takes the batch back.
    ///
    /// A `count` that passes no further record writes the outputs alone, as one record's many outputs in bounded portions: if the
    /// process dies before that record passes, it is read again and these outputs are written again. The ids in them
    /// tell a repetition. One step at a time: before `then`, another `commit` or `finish` is ignored.
    public func commit(_ outputs: [OutgoingRecord], through count: Int, then: @escaping () -> Void) {
        pipeline?.step(self, outputs, through: count, then)
    }

    /// The service is done. `outputs` and the offsets that pass the batch are committed in one transaction, which is tried
    /// until it holds. A batch without outputs whose repetition harms nothing may pass `.plain`: its offsets are then
    /// committed alone, without waiting. Does nothing for a batch that is not current, and a second time.
    public func finish(_ outputs: [OutgoingRecord] = [], commit: OffsetCommit = .transaction) {
        finish(outputs, through: records.count, commit: commit)
    }

    /// The same after the first `count` records: the others come first in the next batch.
    public func finish(_ outputs: [OutgoingRecord] = [], through count: Int, commit: OffsetCommit = .transaction) {
        pipeline?.finish(self, outputs, through: count, commit)
    }

    /// Where the group goes on in the partition of the last record that passed.
    var lastPassed: PartitionOffset? {
        guard positions.count > 0 else { return nil }
        let last = records[positions.count - 1]
        return PartitionOffset(topic: last.topic, partition: last.partition, next: last.offset &+ 1)
    }

    /// Gives back what does not pass.
    func leaveRest() -> ArraySlice<KafkaRecord> {
        end = positions.count
        return records[end...]
    }

    /// What was about to pass has passed.
    func hasPassed() { passed = positions.count }

    func pass(through count: Int) { positions.pass(records, through: count) }

    /// What the group's positions are committed as now. Where nothing has passed yet, that is the beginning of the first
    /// record: so the broker checks in any case that this member still counts.
    var offsets: [PartitionOffset] {
        if let first = records.first, positions.offsets.isEmpty {
            return [PartitionOffset(topic: first.topic, partition: first.partition, next: first.offset)]
        }
        return positions.offsets
    }
}
