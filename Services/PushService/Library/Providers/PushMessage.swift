internal import Models

/// One notification on its way to a person's devices: the same for all of them and for every provider.
struct PushMessage {
    let texts: NotificationTexts

    var id: NotificationID { texts.id }
    var priority: Priority { texts.priority }
    /// ms since 1970.
    var expiresAt: Int64? { texts.expiresAt }

    /// Reads a record of `push.*`. Throws what makes it a dead letter.
    static func read(_ value: [UInt8]) throws(DeadLetter) -> (PushMessage, PersonID, accepted: Int64) {
        let record = try PushRecord.read(value)
        let texts = try NotificationTexts.read(record.bytes.span.extracting(record.notification))
        return (PushMessage(texts: texts), record.person, record.accepted)
    }
}
