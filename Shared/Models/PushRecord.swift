/// Why a notification goes to a person's devices through a provider.
public enum PushReason: String, Sendable {
    case offline, departed, escalated
}

/// A record of `push.*`.
public struct PushRecord: Sendable {
    /// The record's value, which `notification` points into.
    public let bytes: [UInt8]
    public var id: NotificationID
    public var person: PersonID
    public var position: StreamPosition
    public var reason: PushReason
    /// ms since 1970, as in `NotificationRecord`.
    public var accepted: Int64
    /// Where the notification's bytes stand.
    public var notification: Range<Int>

    /// Writes one record's value, splicing a range of `source` as the notification.
    public static func encode(
        _ writer: inout JSONWriter, person: PersonID, position: StreamPosition, reason: PushReason, accepted: Int64,
        source: [UInt8], notification: Range<Int>
    ) {
        writer.raw(#"{"v":1,"person":"#)
        writer.string(person.text)
        writer.raw(#","offset":"#)
        writer.digits(position.offset)
        writer.raw(#","epoch":"#)
        writer.digits(position.epoch)
        writer.raw(#","reason":""#)
        writer.raw(reason.rawValue)
        writer.raw(#"","accepted":"#)
        writer.integer(accepted)
        writer.raw(#","notification":"#)
        writer.line(source, notification)
        writer.byte(UInt8(ascii: "}"))
    }

    /// Reads a record's value; throws `not_json` or `invalid_data`.
    public static func read(_ value: [UInt8]) throws(DeadLetter) -> PushRecord {
        try readRecord(value) { bytes, at in try read(bytes, &at, value) }
    }

    private static func read(_ bytes: Span<UInt8>, _ at: inout Int, _ value: [UInt8]) throws -> PushRecord {
        var version: Int64 = 0
        var person: PersonID?
        var (epoch, offset, accepted): (UInt64?, UInt64?, Int64?)
        var reason: PushReason?
        var notification: NotificationOutline?
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .version: version = try JSON.integer(bytes, &at)
            case .person: person = try identifier(bytes, &at)
            case .epoch: epoch = try number(bytes, &at)
            case .offset: offset = try number(bytes, &at)
            case .accepted: accepted = try JSON.integer(bytes, &at)
            case .reason: reason = PushReason(rawValue: JSON.text(bytes, try JSON.string(bytes, &at)))
            case .notification: notification = try NotificationOutline.read(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        guard version == 1 else { throw DeadLetter(.invalidData, "v is not 1") }
        guard let person, let reason, let accepted, let notification,
            let epoch, let offset
        else { throw DeadLetter(.invalidData, "a field is missing or not what it must be") }
        return PushRecord(
            bytes: value, id: notification.id, person: person, position: StreamPosition(epoch: epoch, offset: offset),
            reason: reason, accepted: accepted, notification: notification.range)
    }

    /// Reads a number, or a string of its digits: not every tool passes on a number of more than 53 bits.
    private static func number(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> UInt64? {
        guard try JSON.kind(bytes, &at) == .string else { return UInt64(exactly: try JSON.integer(bytes, &at)) }
        let string = try JSON.string(bytes, &at)
        var inside = string.contents.lowerBound
        guard let number = readDigits(bytes, &inside), inside == string.contents.upperBound else { return nil }
        return number
    }
}

extension JSONKey {
    static let person = JSONKey("person")
    static let epoch = JSONKey("epoch")
    static let offset = JSONKey("offset")
    static let reason = JSONKey("reason")
}
