internal import HTTPClient
internal import Models
internal import Store
internal import Tokens

/// What Apple is sent for one device ("Sending notification requests to APNs").
struct APNsRequest {
    /// `https://host:port` of where the device is.
    let url: String
    let topic: String
    let timeout: Duration
    let authorization: String

    /// The same for every attempt: what is sent again, after a crash too, can be known by it.
    static func id(of message: PushMessage, for token: String) -> String {
        uuid(fromDigest: sha256(message.id.bytes + [0] + Array(token.utf8)))
    }

    func request(_ message: PushMessage, _ payload: [UInt8], to device: Device) -> HTTPClientRequest {
        var headers: [(name: String, value: String)] = [
            ("authorization", authorization), ("apns-id", Self.id(of: message, for: device.token)), ("apns-topic", topic),
            ("apns-push-type", "alert"), ("apns-priority", message.priority == .low ? "5" : "10"),
            // A second copy replaces the first on the device.
            ("apns-collapse-id", message.id.description), ("content-type", "application/json"),
        ]
        if let expiresAt = message.expiresAt { headers.append(("apns-expiration", String(max(0, expiresAt / 1000)))) }
        return HTTPClientRequest(
            method: "POST", url: "\(url)/3/device/\(device.token)", headers: headers, body: payload, timeout: timeout)
    }
}
