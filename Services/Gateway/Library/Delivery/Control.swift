import Centrifuge
import Models
import Store

/// A line of a batch that is no notification. It tells a gateway something about a client.
enum Control: Equatable {
    /// How many notifications are unread, and the count's revision.
    case read(InboxCounts)
    /// Close the connection with this code.
    case close(UInt16)
    /// A line of a kind that only a later version knows.
    case unknown

    static func decode(_ line: Span<UInt8>) throws(JSONError) -> Control {
        var at = 0
        var control = Control.unknown
        var members = try JSONMembers(line, &at)
        while let name = try members.next(line, &at) {
            switch JSONKey(line, name) {
            case .read: control = .read(try counts(line, &at))
            case .close: control = UInt16(exactly: try JSON.integer(line, &at)).map(Control.close) ?? .unknown
            default: _ = try JSON.value(line, &at)
            }
        }
        return control
    }

    private static func counts(_ line: Span<UInt8>, _ at: inout Int) throws(JSONError) -> InboxCounts {
        var counts = InboxCounts(unread: 0, revision: 0)
        var members = try JSONMembers(line, &at)
        while let name = try members.next(line, &at) {
            switch JSONKey(line, name) {
            case .unread: counts.unread = Int(clamping: try JSON.integer(line, &at))
            case .revision: counts.revision = UInt64(clamping: try JSON.integer(line, &at))
            default: _ = try JSON.value(line, &at)
            }
        }
        return counts
    }

    /// `{"close":code}`
    static func closeLine(_ code: UInt16) -> [UInt8] { Array(#"{"close":\#(code)}"#.utf8) }

    /// `{"read":{"unread":n,"revision":r}}`: the control line, and the data of a client's `message` push.
    static func readLine(_ counts: InboxCounts) -> [UInt8] {
        var writer = JSONWriter(capacity: 64)
        writer.raw(#"{"read":"#)
        counts.write(to: &writer)
        writer.byte(UInt8(ascii: "}"))
        return writer.take()
    }
}

extension InboxCounts {
    /// `{"unread":n,"revision":r}`
    func write(to writer: inout JSONWriter) {
        writer.raw(#"{"unread":"#)
        writer.integer(Int64(unread))
        writer.raw(#","revision":"#)
        writer.digits(revision)
        writer.byte(UInt8(ascii: "}"))
    }

    var json: [UInt8] {
        var writer = JSONWriter(capacity: 48)
        write(to: &writer)
        return writer.take()
    }
}

extension InboxState {
    var counts: InboxCounts { InboxCounts(unread: unread, revision: revision) }
}

extension JSONKey {
    static let read = JSONKey("read")
    static let unread = JSONKey("unread")
    static let revision = JSONKey("revision")
    static let close = JSONKey("close")
}
