/// Why a record was given up.
public enum DeadLetterReason: String, CaseIterable, Sendable {
    case notJSON = "not_json"
    case notCloudEvents = "not_cloudevents"
    case unknownType = "unknown_type"
    case invalidData = "invalid_data"
    case tooLarge = "too_large"
    case tooOld = "too_old"
    case rejectedByProvider = "rejected_by_provider"
    case noCredentials = "no_credentials"
    case attemptsExhausted = "attempts_exhausted"
}

/// A fault of the record itself. Another try would not help, so the record becomes a dead letter.
public struct DeadLetter: Error, Equatable, Sendable {
    public let reason: DeadLetterReason
    /// What was wrong, in our words. It quotes nothing of the record.
    public let detail: String

    public init(_ reason: DeadLetterReason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }
}

/// Where a record came from, for its dead letter.
public struct RecordOrigin: Equatable, Sendable {
    public var topic: String
    public var partition: Int32
    public var offset: Int64

    public init(topic: String, partition: Int32, offset: Int64) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
    }
}

extension DeadLetter {
    /// The prefix of the names of all headers that a dead letter adds.
    public static let headerPrefix = "dlq-"

    /// The headers of a dead letter: the original ones, then `dlq-…`. If the record was sent again and failed again, its
    /// earlier `dlq-…` headers are replaced.
    /// - Parameters:
    ///   - original: the headers of the record; a null value stays null.
    ///   - at: ms since 1970.
    public func headers(
        original: [(name: String, value: [UInt8]?)], origin: RecordOrigin, attempts: Int, at: Int64
    ) -> [(name: String, value: [UInt8]?)] {
        var headers = original.filter { !$0.name.hasPrefix(Self.headerPrefix) }
        func add(_ name: String, _ value: String) { headers.append((Self.headerPrefix + name, Array(value.utf8))) }
        add("reason", reason.rawValue)
        add("detail", detail)
        add("topic", origin.topic)
        add("partition", String(origin.partition))
        add("offset", String(origin.offset))
        add("attempts", String(attempts))
        add("at", String(at))
        return headers
    }
}

/// Reads the whole value of a record with `body`. If `body` cannot read it, it throws `invalid_data` for JSON and `not_json`
/// for anything else.
func readRecord<Record>(
    _ value: [UInt8], _ body: (Span<UInt8>, inout Int) throws -> Record
) throws(DeadLetter) -> Record {
    let bytes = value.span
    do {
        var at = 0
        let record = try body(bytes, &at)
        try JSON.end(bytes, &at)
        return record
    } catch let error as DeadLetter {
        throw error
    } catch let error {
        guard (try? JSON.document(bytes)) != nil else { throw DeadLetter(.notJSON, "the value is not JSON") }
        throw DeadLetter(.invalidData, (error as? Misfit)?.text ?? "a field is missing or not what it must be")
    }
}
