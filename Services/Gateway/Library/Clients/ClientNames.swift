import Centrifuge
import ServiceRuntime
import Store

/// The name that a client gives itself. Names that are not known count as `other`.
enum ClientName: String, MetricLabel {
    case js, python, swift, go, dart, java, csharp, other

    init(_ text: String?) { self = text.flatMap(ClientName.init(rawValue:)) ?? .other }
}

/// When a connection was accepted, by the loop's clock in ms, and its client's name. The first update is measured by it.
struct Opening {
    var at: UInt64
    var name: ClientName
}

enum CallLabel: String, MetricLabel {
    case ack, seen, read, unread, archive, window, rate, pause, resume

    init(_ call: Call) {
        switch call {
        case .ack: self = .ack
        case .seen: self = .seen
        case .read: self = .read
        case .unread: self = .unread
        case .archive: self = .archive
        case .window: self = .window
        case .rate: self = .rate
        case .pause: self = .pause
        case .resume: self = .resume
        }
    }
}

/// Why a call was not carried out.
enum CallRefusalLabel: String, MetricLabel {
    /// No such method.
    case method
    /// Its data does not fit the method.
    case form
    /// More ids than CALL_MAX_IDS.
    case ids
    /// A window over WINDOW_MAX.
    case window
    /// A rate over RATE_MAX.
    case rate
    case redis
}
