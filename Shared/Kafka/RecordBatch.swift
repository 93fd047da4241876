/// Records handed to a service together, in order within each partition. Loop thread only.
public final class RecordBatch {
    public let records: [KafkaRecord]

    let number: UInt64
    /// Which partitions' positions pass with the batch.
    let offsets: [PartitionOffset]
    let membership: GroupMembership?
    private weak var pipeline: RecordPipeline?

    init(
        number: UInt64, records: [KafkaRecord], offsets: [PartitionOffset], membership: GroupMembership?,
        pipeline: RecordPipeline?
    ) {
        self.number = number
        self.records = records
        self.offsets = offsets
        self.membership = membership
        self.pipeline = pipeline
    }

    /// False once the group has taken the partitions back: what is not done yet need not be done, another member will.
    public var isCurrent: Bool { pipeline?.isProcessing(number) ?? false }

    /// The service is done. `outputs` and the offsets that pass the batch are committed in one transaction, which is tried
    /// until it holds. A batch without outputs whose repetition harms nothing may pass `.plain`: its offsets are then
    /// committed alone, without waiting. Does nothing for a batch that is not current, and a second time.
    public func finish(_ outputs: [OutgoingRecord] = [], commit: OffsetCommit = .transaction) {
        pipeline?.finish(self, outputs, commit)
    }
}
