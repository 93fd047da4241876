/// A record of `notifications.*`: one notification and whom it is for.
public struct NotificationRecord: Sendable {
    /// The record's value, which `notification` points into.
    public let bytes: [UInt8]
    public var id: NotificationID
    /// ms since 1970: when the event's own record reached Kafka, by the timestamp of that record. A record of an earlier
    /// version, or of an event whose record has no timestamp, says when the event was first read.
    public var accepted: Int64
    public var audience: Audience
    /// The person who did it, taken from the notification.
    public var actor: PersonID?
    /// Whether a person who is offline gets a push.
    public var push: Bool
    /// What is left of the event's time to live at `accepted`.
    public var ttlSeconds: Int64
    /// Where the notification's bytes stand.
    public var notification: Range<Int>

    /// ms since 1970; after it the notification disturbs nobody.
    public var expiresAt: Int64 {
        let (life, over) = ttlSeconds.multipliedReportingOverflow(by: 1000)
        let (moment, above) = accepted.addingReportingOverflow(life)
        return over || above ? .max : moment
    }

    /// Writes one record's value.
    /// - Parameters:
    ///   - collapseKey: a range of `event.bytes`.
    ///   - notification: the notification's bytes, without a line break.
    public static func encode(
        _ writer: inout JSONWriter, event: borrowing CloudEvent, accepted: Int64, audience: borrowing Audience, push: Bool,
        ttlSeconds: Int64, collapseKey: Range<Int>?, notification: [UInt8]
    ) {
        writer.raw(#"{"v":1,"source":"#)
        writer.string(event.source)
        writer.raw(#","eventId":"#)
        writer.string(event.id)
        writer.raw(#","accepted":"#)
        writer.integer(accepted)
        writer.raw(#","audience":"#)
        audience.write(&writer)
        writer.raw(push ? #","push":true,"ttlSeconds":"# : #","push":false,"ttlSeconds":"#)
        writer.integer(ttlSeconds)
        if let collapseKey {
            writer.raw(#","collapseKey":"#)
            writer.raw(event.bytes, collapseKey)
        }
        writer.raw(#","notification":"#)
        writer.raw(notification)
        writer.byte(UInt8(ascii: "}"))
    }

    /// Reads a record's value; throws `not_json` or `invalid_data`.
    public static func read(_ value: [UInt8]) throws(DeadLetter) -> NotificationRecord {
        try readRecord(value) { bytes, at in try read(bytes, &at, value) }
    }

    private static func read(_ bytes: Span<UInt8>, _ at: inout Int, _ value: [UInt8]) throws -> NotificationRecord {
        var (version, accepted): (Int64, Int64?) = (0, nil)
        var audience: Audience?
        var (push, ttlSeconds) = (false, Int64.max)
        var notification: NotificationOutline?
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .version: version = try JSON.integer(bytes, &at)
            case .accepted: accepted = try JSON.integer(bytes, &at)
            case .audience: audience = try Audience.read(bytes, &at)
            case .push: push = try JSON.bool(bytes, &at)
            case .ttlSeconds:
                if try JSON.kind(bytes, &at) == .null { try JSON.null(bytes, &at) } else { ttlSeconds = try JSON.integer(bytes, &at) }
            case .notification: notification = try NotificationOutline.read(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        guard version == 1 else { throw DeadLetter(.invalidData, "v is not 1") }
        guard let accepted, let audience, let notification else { throw DeadLetter(.invalidData, "a field is missing") }
        return NotificationRecord(
            bytes: value, id: notification.id, accepted: accepted, audience: audience, actor: notification.actor, push: push,
            ttlSeconds: ttlSeconds, notification: notification.range)
    }
}

/// What a service between must know of a notification that it passes on: where it stands, its id, its priority and its actor.
struct NotificationOutline {
    var id: NotificationID
    var actor: PersonID?
    var range: Range<Int>

    static func read(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> NotificationOutline {
        JSON.skipSpace(bytes, &at)
        let start = at
        var id: NotificationID?
        var actor: PersonID?
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .id: id = NotificationID(bytes.extracting(try JSON.string(bytes, &at).contents))
            case .actor where try JSON.kind(bytes, &at) == .object: actor = try readActorID(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        guard let id else { throw .unexpected(at: start) }
        return NotificationOutline(id: id, actor: actor, range: start..<at)
    }
}

extension JSONKey {
    static let version = JSONKey("v")
    static let accepted = JSONKey("accepted")
    static let push = JSONKey("push")
    static let notification = JSONKey("notification")
}
