/// How much one transaction writes. It is never more than the limits, and less while the broker cannot take that much in a
/// transaction's time. A transaction that did not pass in time halves the bound, and transactions that pass double it again. If the
/// doubled bound fails, twice as many transactions must pass before the next attempt, so that a slow broker is rarely asked for too
/// much.
public struct TransactionBound: Equatable, Sendable {
    public let maximumRecords: Int
    public let maximumBytes: Int
    /// At present.
    public private(set) var records: Int
    public private(set) var bytes: Int

    /// `transaction.timeout.ms`: how long a transaction may be open.
    private let time: UInt64
    /// Transactions that have passed since the bound changed last.
    private var passes = 0
    /// The last one passed.
    private var hasPassed = false
    /// How many must pass before the bound is doubled.
    private var patience = 1
    static let maximumPatience = 64

    public init(records: Int, bytes: Int, time: UInt64 = 15_000) {
        self.time = time
        maximumRecords = max(1, records)
        maximumBytes = max(1, bytes)
        self.records = maximumRecords
        self.bytes = maximumBytes
    }

    /// Whether so many records with so many bytes are too much for one transaction.
    public func isPassed(records: Int, bytes: Int) -> Bool { records > self.records || bytes > self.bytes }

    /// The same with at most so many records.
    public func atMost(records: Int) -> TransactionBound {
        var bound = self
        bound.records = max(1, min(self.records, records))
        return bound
    }

    /// Which of the outputs, from `start` on, go into one transaction: at least one, if there is one.
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

    /// Whether a transaction that failed after so many ms may have been too large: it had two thirds of its time.
    func isSlow(_ elapsed: UInt64) -> Bool { elapsed >= time / 3 * 2 }

    /// A transaction of this size failed after so many ms. Perhaps the broker cannot take that much in a transaction's time. An
    /// outage looks the same; the bound that it halves grows again.
    mutating func failed(_ error: KafkaError, after elapsed: UInt64, records: Int, bytes: Int) {
        guard error.isTimeOut || isSlow(elapsed) else { return }
        // Only the first failure in a row says that the bound had grown too far.
        if hasPassed { patience = min(Self.maximumPatience, patience * 2) }
        hasPassed = false
        passes = 0
        self.records = max(1, min(self.records, records) / 2)
        self.bytes = max(1, min(self.bytes, bytes) / 2)
    }

    mutating func passed() {
        hasPassed = true
        passes += 1
        guard passes >= patience else { return }
        passes = 0
        records = min(maximumRecords, records &* 2)
        bytes = min(maximumBytes, bytes &* 2)
        if records == maximumRecords, bytes == maximumBytes { patience = 1 }
    }
}
