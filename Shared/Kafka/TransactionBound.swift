/// How much one transaction writes: never more than the limits, and less while the broker does not take that much in a transaction's
/// time. What did not pass in time is halved until something passes; what passes doubles the bound again.
public struct TransactionBound: Equatable, Sendable {
    public let maximumRecords: Int
    public let maximumBytes: Int
    /// At present.
    public private(set) var records: Int
    public private(set) var bytes: Int

    public init(records: Int, bytes: Int) {
        maximumRecords = max(1, records)
        maximumBytes = max(1, bytes)
        self.records = maximumRecords
        self.bytes = maximumBytes
    }

    /// Whether so many records of so many bytes are more than one transaction takes.
    public func isPassed(records: Int, bytes: Int) -> Bool { records > self.records || bytes > self.bytes }

    /// Which of the outputs, from `start` on, go into one transaction; at least one, if there is one.
    func portion(of outputs: [OutgoingRecord], from start: Int) -> Range<Int> {
        var end = start
        var size = 0
        while end < outputs.count {
            size &+= outputs[end].size
            if end > start, isPassed(records: end - start + 1, bytes: size) { break }
            end += 1
        }
        return start..<end
    }

    /// A transaction of so much did not pass in time.
    mutating func timedOut(records: Int, bytes: Int) {
        self.records = max(1, min(self.records, records) / 2)
        self.bytes = max(1, min(self.bytes, bytes) / 2)
    }

    mutating func passed() {
        if records < maximumRecords { records = min(maximumRecords, records &* 2) }
        if bytes < maximumBytes { bytes = min(maximumBytes, bytes &* 2) }
    }
}
