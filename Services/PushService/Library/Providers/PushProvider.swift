internal import Models
internal import ServiceRuntime
internal import Store

/// The push services that a device may be behind. A device's row names its own in `Device.platform`, and a push that waits for one
/// lies in the topic `push.retry.<name>`.
enum ProviderName: String, MetricLabel {
    case apns, fcm

    /// The provider of a device; `nil`: none that we know.
    init?(of device: Device) { self.init(rawValue: device.platform) }

    /// As people write it.
    var title: String {
        switch self {
        case .apns: "APNs"
        case .fcm: "FCM"
        }
    }

    var dependency: Dependency {
        switch self {
        case .apns: .apns
        case .fcm: .fcm
        }
    }
}

/// One push service: how a notification is written for a device of it, how it is sent, and what an answer means.
///
/// Whoever implements it does these things and no more. When a push is sent, how many are under way, what is sent again, when and for
/// how long nobody is asked: all of that is `Courier`'s, and is the same for every provider. A provider has connections of its own, which
/// it shares with no other. It is confined to one loop's thread. `ProviderContract` in the tests holds an implementation to all of it.
protocol PushProvider: AnyObject {
    var name: ProviderName { get }

    /// The settings to look at where the provider refuses the credentials.
    var credentialSettings: StaticString { get }

    /// Pushes under way at the same time to one destination.
    var maximumInFlight: Int { get }

    /// The destination that is greeted at the start, before any push.
    var firstDestination: String { get }

    /// What fares alike: a host, in most cases. What is wrong with one destination holds up nobody at another.
    func destination(of device: Device) -> String

    /// The body of the push for one device, at most as long as the provider takes; what is too long is cut. It is the same for every
    /// attempt. Throws what makes the push a dead letter.
    func encode(_ message: PushMessage, for device: Device) throws(DeadLetter) -> [UInt8]

    /// Sends what `encode` gave. Replies exactly once, at once or later on the loop, within the provider's time-out; after `close` it
    /// may be silent. A request that is sent again can be known as the same by the provider or by the device.
    func send(_ body: [UInt8], of message: PushMessage, to device: Device, reply: @escaping (ProviderAnswer) -> Void)

    /// Asks whether anybody is there at all, which needs no device. It also opens the connection for the first push. Replies once, as
    /// `send` does: `nil` if somebody is.
    func greet(_ destination: String, reply: @escaping (FailureKind?) -> Void)

    /// Ends every connection.
    func close()
}
