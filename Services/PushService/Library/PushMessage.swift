internal import HTTPClient
internal import Models
internal import Store
internal import Tokens

/// One notification on its way to a person's devices: the same for all of them but token and apns-id.
struct PushMessage {
    let id: NotificationID
    let priority: Priority
    /// ms since 1970.
    let expiresAt: Int64?
    let payload: [UInt8]

    /// Reads a record of `push.*`. Throws what makes it a dead letter.
    static func read(_ value: [UInt8]) throws(DeadLetter) -> (PushMessage, PersonID, accepted: Int64) {
        let record = try PushRecord.read(value)
        let texts = try NotificationTexts.read(record.bytes.span.extracting(record.notification))
        guard let payload = Payload.encode(texts) else {
            throw DeadLetter(.tooLarge, "the type leaves no room in a payload of 4 KB")
        }
        let message = PushMessage(id: texts.id, priority: texts.priority, expiresAt: texts.expiresAt, payload: payload)
        return (message, record.person, record.accepted)
    }

    /// The same for every attempt: what is sent again, after a crash too, can be known by it.
    func apnsID(for token: String) -> String {
        uuid(fromDigest: sha256(id.bytes + [0] + Array(token.utf8)))
    }

    /// The request for one device ("Sending notification requests to APNs").
    /// - Parameter url: `https://host:port` of where the device is.
    func request(
        to device: Device, at url: String, topic: String, timeout: Duration, authorization: String
    ) -> HTTPClientRequest {
        var headers: [(name: String, value: String)] = [
            ("authorization", authorization), ("apns-id", apnsID(for: device.token)), ("apns-topic", topic),
            ("apns-push-type", "alert"), ("apns-priority", priority == .low ? "5" : "10"),
            // A second copy replaces the first on the device.
            ("apns-collapse-id", id.description), ("content-type", "application/json"),
        ]
        if let expiresAt { headers.append(("apns-expiration", String(max(0, expiresAt / 1000)))) }
        return HTTPClientRequest(
            method: "POST", url: "\(url)/3/device/\(device.token)", headers: headers, body: payload, timeout: timeout)
    }
}
