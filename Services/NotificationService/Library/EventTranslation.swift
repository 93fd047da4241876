import Kafka
public import Models
import Rules
import ServiceKafka
import ServiceRuntime
import Tokens

/// What an event's record becomes.
public enum EventOutcome: Equatable, Sendable {
    /// This number of records of this priority.
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

    /// The records of an event of high priority; nil of any other, and of one that becomes none.
    func urgent(_ record: KafkaRecord, now: Int64) -> [OutgoingRecord]? {
        var outputs: [OutgoingRecord] = []
        guard let outcome = try? notify(record, now, &outputs, isUrgent: true), case .notified(.high, _) = outcome else { return nil }
        return outputs
    }

    /// Checks an event as if it were read from Kafka now. Throws what would be wrong with it, and returns what its sender may
    /// want to know.
    func check(value: [UInt8], headers: [KafkaHeader], now: Int64) throws(DeadLetter) -> CheckedEvent {
        guard value.count <= limits.eventBytes else { throw tooLarge }
        let event = try CloudEvent.read(value: value, headers: Self.present(headers))
        let data = try EventData.read(event)
        let moments = Moments(eventTime: event.time, recordTimestamp: now, now: now)
        let decided = try decision(on: data, of: event, moments)
        guard let topic = topics.events(forType: event.type, policy: policies.policy(for: event.type)) else {
            throw DeadLetter(.invalidData, "the first part of the type cannot name a topic")
        }
        let key = event.recordKey(for: data.audience)
        // Once Kafka has it the record is no younger, and what it becomes no longer: what passes here passes there.
        if case .notify(let treatment) = decided {
            try expand(event, data, treatment, accepted: moments.accepted, key: Array(key.utf8)) { _ in }
        }
        return CheckedEvent(
            topic: topic, key: key, id: Self.notificationID(of: event), warnings: CheckedEvent.warnings(data, decided))
    }

    /// - Parameter isUrgent: only an event of high priority becomes records.
    private func notify(
        _ record: KafkaRecord, _ now: Int64, _ outputs: inout [OutgoingRecord], isUrgent: Bool = false
    ) throws(DeadLetter) -> EventOutcome {
        guard record.value.count <= limits.eventBytes else { throw tooLarge }
        if record.isTombstone { throw DeadLetter(.invalidData, "no data: the record is a tombstone") }
        let event = try CloudEvent.read(value: record.value, headers: Self.present(record.headers))
        let data = try EventData.read(event)
        let treatment: Treatment
        let moments = Moments(eventTime: event.time, recordTimestamp: record.timestamp, now: now)
        switch try decision(on: data, of: event, moments) {
        case .expired: return .expired
        case .nobody: return .nobody
        case .notify(let decided): treatment = decided
        }
        if isUrgent, treatment.priority != .high { return .notified(treatment.priority, records: 0) }
        try expand(event, data, treatment, accepted: moments.accepted, key: record.key) { outputs.append($0) }
        return .notified(treatment.priority, records: treatment.audiences.count)
    }

    /// Gives `take` a record for each audience; throws at the first that does not fit into what one event may become.
    /// - Parameter key: that of the event's own record.
    private func expand(
        _ event: borrowing CloudEvent, _ data: borrowing EventData, _ treatment: Treatment, accepted: Int64, key: [UInt8]?,
        _ take: (OutgoingRecord) -> Void
    ) throws(DeadLetter) {
        let notification = encode(event, data, treatment)
        let topic = topics.notifications(treatment.priority)
        let headers = event.traceParent.map { [KafkaHeader("traceparent", $0)] } ?? []
        var size = 0
        for audience in treatment.audiences {
            let own = try self.key(of: audience, key)
            var writer = JSONWriter(capacity: notification.count + 256)
            NotificationRecord.encode(
                &writer, event: event, accepted: accepted, audience: audience, push: treatment.push,
                ttlSeconds: treatment.ttlSeconds, collapseKey: data.collapseKey, notification: notification)
            let output = OutgoingRecord(topic: topic, key: own, value: writer.take(), headers: headers)
            size &+= output.size
            guard size <= limits.expandedBytes else { throw overExpanded }
            take(output)
        }
    }

    private var overExpanded: DeadLetter {
        DeadLetter(.tooLarge, "its records for the people it names are over EVENT_MAX_EXPANSION (\(limits.expandedBytes))")
    }

    private func decision(
        on data: borrowing EventData, of event: borrowing CloudEvent, _ moments: Moments
    ) throws(DeadLetter) -> Decision {
        try decide(data, policy: policies.policy(for: event.type), moments: moments, dedupWindow: limits.dedupWindow)
    }

    private func encode(
        _ event: borrowing CloudEvent, _ data: borrowing EventData, _ treatment: borrowing Treatment
    ) -> [UInt8] {
        var writer = JSONWriter(capacity: event.data.count + 256)
        Notification.encode(
            &writer, id: Self.notificationID(of: event), type: event.type, priority: treatment.priority, event: data,
            createdAt: treatment.createdAt, expiresAt: treatment.expiresAt)
        return writer.take()
    }

    private static func notificationID(of event: borrowing CloudEvent) -> NotificationID {
        NotificationID(digest: sha256(NotificationID.digestInput(source: event.source, eventID: event.id)))
    }

    /// A header with a null value is an absent header.
    private static func present(_ headers: [KafkaHeader]) -> [(name: String, value: [UInt8])] {
        headers.compactMap { header in header.value.map { (header.name, $0) } }
    }

    /// The most bytes of a key that orders the notifications of an audience. The key is written with each of them, so it must
    /// leave room for them.
    private static let maximumKeyBytes = 32 << 10

    /// The key of a record: the person, so that her records follow one another; for an audience the key of the event, which
    /// keeps the order of its events.
    private func key(of audience: borrowing Audience, _ key: [UInt8]?) throws(DeadLetter) -> [UInt8]? {
        if case .user(let person) = copy audience { return Array(person.text.utf8) }
        guard let key else { return (copy audience).listID.map { Array($0.utf8) } }
        guard key.count <= Self.maximumKeyBytes else {
            throw DeadLetter(.tooLarge, "the record's key is longer than \(Self.maximumKeyBytes) bytes")
        }
        return key
    }

    // MARK: Dead letters

    private var tooLarge: DeadLetter { DeadLetter(.tooLarge, "the event is over EVENT_MAX_BYTES (\(limits.eventBytes))") }

    private func deadLetter(_ record: KafkaRecord, _ fault: DeadLetter, _ now: Int64) -> OutgoingRecord {
        .deadLetter(
            record, fault, attempts: 1, topic: topics.eventDeadLetters, at: now,
            room: record.value.count > limits.eventBytes ? .short : nil)
    }
}
