import Models
import Rules

/// An event of `POST /v1/events` that would be read, and what its sender is told.
struct CheckedEvent: Equatable {
    let topic: String
    let key: String
    /// The id that its notification will have.
    let id: NotificationID
    /// What was accepted, and is perhaps not meant so.
    let warnings: [String]

    /// The body of a 202.
    var answer: [UInt8] {
        var writer = JSONWriter(capacity: 64)
        writer.raw(#"{"id":""#)
        id.append(to: &writer.bytes)
        writer.raw(#"","warnings":["#)
        for (index, warning) in warnings.enumerated() {
            if index > 0 { writer.byte(UInt8(ascii: ",")) }
            writer.string(warning)
        }
        writer.raw("]}")
        return writer.take()
    }

    /// The most bytes of a member's name that a warning repeats. The warning goes only to whoever wrote it.
    static let quotedBytes = 64

    static func warnings(_ data: borrowing EventData, _ decision: Decision) -> [String] {
        var warnings = data.unknown.map { name in
            let bytes = data.bytes[name].prefix(quotedBytes)
            return "data.\(String(decoding: bytes, as: UTF8.self)) is not a member of events: no client gets it"
        }
        if data.template != nil { warnings.append("data.template is not rendered yet: clients get title and body alone") }
        switch decision {
        case .notify: break
        case .expired: warnings.append("the event is past its time to live: nobody is notified")
        case .nobody: warnings.append("the audience names nobody but the actor: nobody is notified")
        }
        return warnings
    }
}
