/// Bounds of a `RecordPipeline`.
public struct PipelineLimits: Sendable {
    /// Records in a batch.
    public var records: Int
    /// Bytes of a batch. One more record may go beyond it.
    public var bytes: Int
    /// Records that one transaction writes.
    public var transactionRecords: Int
    /// Bytes of what one transaction writes. A single record may go beyond it.
    public var transactionBytes: Int
    /// Between the beginnings of two batches, in ms. Records that arrive sooner wait that long.
    public var commitInterval: UInt64
    /// How long `stop` waits for the service's batch. It then waits as long for the broker.
    public var stopPatience: Duration

    public init(
        records: Int = 4_000, bytes: Int = 8 << 20, transactionRecords: Int = 4_000, transactionBytes: Int = 4 << 20,
        commitInterval: UInt64 = 20, stopPatience: Duration = .seconds(5)
    ) {
        self.records = records
        self.bytes = bytes
        self.transactionRecords = transactionRecords
        self.transactionBytes = transactionBytes
        self.commitInterval = commitInterval
        self.stopPatience = stopPatience
    }
}
