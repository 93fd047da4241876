internal import Kafka
internal import Models

/// What of a push remains to be done later: a record of `push.retry.apns`. It is a record of `push.*` with the devices that are
/// left, the failures that count so far, and the time before which nothing is to be done.
struct ParkedPush: Equatable {
    var devices: [String]
    /// Failures that count against it.
    var attempt: Int
    /// ms since 1970.
    var notBefore: Int64

    /// Nothing is parked for longer; what lies further ahead was written by a clock that has been set back since.
    static let longest: Int64 = 600_000
    /// What is not due after so long in one batch goes back to the topic, so that nobody waits behind it.
    static let turn: Duration = .seconds(1)

    /// ms until it is due.
    func wait(now: Int64) -> Int64 {
        let wait = notBefore.subtractingReportingOverflow(now)
        return !wait.overflow && (0...Self.longest).contains(wait.partialValue) ? wait.partialValue : 0
    }

    /// The record to be written for one of `push.*` or `push.retry.apns` that was read.
    func record(for record: KafkaRecord, topic: String) throws(DeadLetter) -> OutgoingRecord {
        let push = try PushRecord.read(record.value)
        var writer = JSONWriter(capacity: record.value.count + 256)
        PushRecord.encode(
            &writer, person: push.person, position: push.position, reason: push.reason, accepted: push.accepted,
            source: push.bytes, notification: push.notification)
        var value = writer.take()
        value.removeLast()
        writer.raw(value)
        writer.raw(#","devices":["#)
        for (index, device) in devices.enumerated() {
            if index > 0 { writer.raw(",") }
            writer.string(device)
        }
        writer.raw(#"],"attempt":"#)
        writer.integer(Int64(attempt))
        writer.raw(#","notBefore":"#)
        writer.integer(notBefore)
        writer.raw("}")
        return OutgoingRecord(topic: topic, key: record.key, value: writer.take(), headers: record.headers)
    }

    /// Reads what a record of `push.retry.apns` has beside a push. Throws what makes it a dead letter.
    static func read(_ value: [UInt8]) throws(DeadLetter) -> ParkedPush {
        do {
            var at = 0
            let parked = try read(value.span, &at)
            if let parked { return parked }
        } catch {}
        throw DeadLetter(.invalidData, "devices, attempt or notBefore is missing or not what it must be")
    }

    private static func read(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> ParkedPush? {
        var devices: [String] = []
        var (attempt, notBefore): (Int64?, Int64?)
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSON.text(bytes, name) {
            case "devices":
                var elements = try JSONElements(bytes, &at)
                while try elements.next(bytes, &at) { devices.append(JSON.text(bytes, try JSON.string(bytes, &at))) }
            case "attempt": attempt = try JSON.integer(bytes, &at)
            case "notBefore": notBefore = try JSON.integer(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        guard !devices.isEmpty, let attempt, attempt >= 0, let notBefore else { return nil }
        return ParkedPush(devices: devices, attempt: Int(clamping: attempt), notBefore: notBefore)
    }
}
