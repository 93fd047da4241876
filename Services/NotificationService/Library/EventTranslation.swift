import Kafka
public import Models
import Rules
import ServiceRuntime
import Tokens

/// What an event's record becomes.
public enum EventOutcome: Equatable, Sendable {
    /// So many records of this priority.
    case notified(Priority, records: Int)
    case expired
    case nobody
    case deadLetter(DeadLetterReason)
}

/// Turns events into the records that follow from them. Pure: the same record at the same time gives the same.
struct EventTranslation {
    let policies: PolicyTable
    let topics: Topics
    let limits: EventLimits

    /// Translates one record and adds what follows from it, a dead letter included.
    /// - Parameter now: ms since 1970.
    func translate(_ record: KafkaRecord, now: Int64, into outputs: inout [OutgoingRecord]) -> EventOutcome {
        let count = outputs.count
        do throws(DeadLetter) {
            return try notify(record, now, &outputs)
        } catch {
            outputs.removeSubrange(count...)
            outputs.append(deadLetter(record, error, now))
            return .deadLetter(error.reason)
        }
    }

    /// What would be wrong with this event if it were read from Kafka now, and where it belongs.
    func check(
        value: [UInt8], headers: [(name: String, value: [UInt8])], now: Int64
    ) throws(DeadLetter) -> (topic: String, key: String) {
        guard value.count <= limits.eventBytes else { throw tooLarge }
        let event = try CloudEvent.read(value: value, headers: headers)
        let data = try EventData.read(event)
        _ = try decision(on: data, of: event, recordTimestamp: now, now)
        guard let topic = topics.events(forType: event.type) else {
            throw DeadLetter(.invalidData, "the first part of the type cannot name a topic")
        }
        return (topic, event.recordKey(for: data.audience))
    }

    private func notify(
        _ record: KafkaRecord, _ now: Int64, _ outputs: inout [OutgoingRecord]
    ) throws(DeadLetter) -> EventOutcome {
        guard record.value.count <= limits.eventBytes else { throw tooLarge }
        let event = try CloudEvent.read(value: record.value, headers: record.headers.map { ($0.name, $0.value) })
        let data = try EventData.read(event)
        let treatment: Treatment
        switch try decision(on: data, of: event, recordTimestamp: record.timestamp, now) {
        case .expired: return .expired
        case .nobody: return .nobody
        case .notify(let decided): treatment = decided
        }
        let notification = encode(event, data, treatment)
        guard notification.count.multipliedReportingOverflow(by: treatment.audiences.count).partialValue <= limits.expandedBytes
        else { throw DeadLetter(.tooLarge, "its copies for the people it names are over EVENT_MAX_EXPANSION") }
        let topic = topics.notifications(treatment.priority)
        let headers = event.traceParent.map { [KafkaHeader("traceparent", $0)] } ?? []
        for audience in treatment.audiences {
            var writer = JSONWriter(capacity: notification.count + 256)
            NotificationRecord.encode(
                &writer, event: event, accepted: now, audience: audience, push: treatment.push,
                ttlSeconds: treatment.ttlSeconds, collapseKey: data.collapseKey, notification: notification)
            outputs.append(
                OutgoingRecord(topic: topic, key: key(of: audience, record), value: writer.take(), headers: headers))
        }
        return .notified(treatment.priority, records: treatment.audiences.count)
    }

    private func decision(
        on data: borrowing EventData, of event: borrowing CloudEvent, recordTimestamp: Int64, _ now: Int64
    ) throws(DeadLetter) -> Decision {
        try decide(
            data, policy: policies.policy(for: event.type),
            moments: Moments(eventTime: event.time, recordTimestamp: recordTimestamp, accepted: now),
            dedupWindow: limits.dedupWindow)
    }

    private func encode(
        _ event: borrowing CloudEvent, _ data: borrowing EventData, _ treatment: borrowing Treatment
    ) -> [UInt8] {
        let digest = sha256(NotificationID.digestInput(source: event.source, eventID: event.id))
        var writer = JSONWriter(capacity: event.data.count + 256)
        Notification.encode(
            &writer, id: NotificationID(digest: digest), type: event.type, priority: treatment.priority, event: data,
            createdAt: treatment.createdAt, expiresAt: treatment.expiresAt)
        return writer.take()
    }

    /// A person's records follow one another; an audience's are ordered as its events were.
    private func key(of audience: borrowing Audience, _ record: KafkaRecord) -> [UInt8]? {
        if case .user(let person) = copy audience { return Array(person.text.utf8) }
        return record.key ?? (copy audience).listID.map { Array($0.utf8) }
    }

    // MARK: Dead letters

    private var tooLarge: DeadLetter { DeadLetter(.tooLarge, "the event is over EVENT_MAX_BYTES (\(limits.eventBytes))") }

    private func deadLetter(_ record: KafkaRecord, _ fault: DeadLetter, _ now: Int64) -> OutgoingRecord {
        let isCut = record.value.count > limits.eventBytes
        return .deadLetter(
            record, fault, attempts: 1, topic: topics.eventDeadLetters, at: now,
            cut: isCut ? (record.value.count, hexadecimal(sha256(record.value))) : nil)
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
