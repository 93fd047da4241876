public import Kafka
public import Models
internal import Tokens

/// How much of a record its dead letter keeps, in bytes.
public struct DeadLetterRoom: Equatable, Sendable {
    public let value: Int
    public let key: Int
    /// Of all headers that the record came with, names and values.
    public let headers: Int

    /// The room if the whole record would be larger than `DeadLetterRoom.whole`, or is not wanted.
    public static let short = DeadLetterRoom(value: 64 << 10, key: 4 << 10, headers: 16 << 10)
    /// The room if Kafka does not take that either.
    public static let least = DeadLetterRoom(value: 4 << 10, key: 512, headers: 0)
    /// The most bytes of a dead letter that keeps everything. A producer sends 1,000,000 bytes, and a header costs somewhat
    /// more than it holds.
    public static let whole = 960_000
    /// The bytes that are kept of one header's value, if headers are cut.
    static let headerValue = 1 << 10
}

extension OutgoingRecord {
    /// The dead letter of a record that was given up, with the reason and the origin. It holds the record as it came if that
    /// fits, and otherwise what fits into `.short`.
    /// - Parameters:
    ///   - at: ms since 1970.
    ///   - room: what is kept in any case; nil: all that fits.
    public static func deadLetter(
        _ record: KafkaRecord, _ fault: DeadLetter, attempts: Int, topic: String, at: Int64, room: DeadLetterRoom? = nil
    ) -> OutgoingRecord {
        let headers = fault.headers(
            original: record.headers.map { ($0.name, $0.value) },
            origin: RecordOrigin(topic: record.topic, partition: record.partition, offset: record.offset),
            attempts: attempts, at: at)
        var letter = OutgoingRecord(
            topic: topic, key: record.key, value: record.value, headers: headers.map { KafkaHeader($0.name, $0.value) })
        letter.isTombstone = record.isTombstone
        if let room { letter.cut(to: room) }
        // Many small headers take more than their bytes.
        if letter.size + letter.headers.count * 16 > DeadLetterRoom.whole { letter.cut(to: .short) }
        return letter
    }

    /// The dead letter of an output that Kafka does not take: its beginning. For an output that is a dead letter already, less
    /// of it; nil when nothing is left to leave out.
    public static func refused(_ record: OutgoingRecord, topic: String, at: Int64) -> OutgoingRecord? {
        var letter = record
        if record.topic == topic {
            for room in [DeadLetterRoom.short, .least] {
                letter.cut(to: room)
                if letter != record { return letter }
            }
            return nil
        }
        let headers = DeadLetter(.tooLarge, "Kafka does not take the record").headers(
            original: record.headers.map { ($0.name, $0.value) },
            origin: RecordOrigin(topic: record.topic, partition: -1, offset: -1), attempts: 1, at: at)
        letter.topic = topic
        letter.headers = headers.map { KafkaHeader($0.name, $0.value) }
        letter.cut(to: .short)
        return letter
    }

    /// Cuts value, key and original headers to what there is room for. For each that is cut, headers say how long it was, with
    /// its SHA-256. If an earlier cut has said so, its words stay.
    private mutating func cut(to room: DeadLetterRoom) {
        var notes: [KafkaHeader] = []
        if value.count > room.value {
            notes += Self.notes("", length: value.count, value)
            value = Array(value.prefix(room.value))
        }
        if let key, key.count > room.key {
            notes += Self.notes("key-", length: key.count, key)
            self.key = Array(key.prefix(room.key))
        }
        let own = headers.filter { $0.name.hasPrefix(DeadLetter.headerPrefix) }
        let original = headers.filter { !$0.name.hasPrefix(DeadLetter.headerPrefix) }
        let kept = Self.fitting(original, into: room.headers)
        if kept != original {
            let bytes = original.flatMap { Array($0.name.utf8) + ($0.value ?? []) }
            notes += Self.notes("headers-", length: bytes.count, bytes)
            notes.append(KafkaHeader("dlq-headers-count", String(original.count)))
        }
        headers = kept + own + notes.filter { note in !own.contains { $0.name == note.name } }
    }

    private static func notes(_ part: String, length: Int, _ bytes: [UInt8]) -> [KafkaHeader] {
        [KafkaHeader("dlq-\(part)length", String(length)), KafkaHeader("dlq-\(part)sha256", hexadecimal(sha256(bytes)))]
    }

    /// The first headers that there is room for, all of them if there is, with long values cut if not.
    private static func fitting(_ headers: [KafkaHeader], into room: Int) -> [KafkaHeader] {
        func cost(_ header: KafkaHeader) -> Int { header.name.utf8.count + (header.value?.count ?? 0) + 16 }
        if headers.reduce(0, { $0 + cost($1) }) <= room { return headers }
        var left = room
        var kept: [KafkaHeader] = []
        for header in headers {
            let short = KafkaHeader(header.name, header.value.map { Array($0.prefix(DeadLetterRoom.headerValue)) })
            guard cost(short) <= left else { continue }
            left -= cost(short)
            kept.append(short)
        }
        return kept
    }
}
