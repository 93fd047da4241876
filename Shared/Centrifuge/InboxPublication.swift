public import Models

/// The push that brings one notification to one connection, as two parts: a head that is this connection's own, and a tail
/// with the notification, which all connections of a codec share.
///
///     let tail = InboxPublication.tail(.json, notification)
///     let publication = InboxPublication(.json, at: position, notificationLength: notification.count)
///     publication.appendHead(to: &bytes)        // and then the tail
public struct InboxPublication: Sendable {
    static let jsonTags = Array(#","tags":{"cursor":"1."#.utf8)
    private static let jsonStart = Array(#"{"push":{"channel":"inbox","pub":{"offset":"#.utf8)
    private static let jsonData = Array(#""},"data":"#.utf8)
    private static let jsonEnd = Array("}}}".utf8)
    /// `channel` of the push, and `key` of the one tag.
    private static let protobufChannel: [UInt8] = [2 << 3 | 2, 5] + Array("inbox".utf8)
    private static let protobufKey: [UInt8] = [1 << 3 | 2, 6] + Array("cursor".utf8)

    private let codec: Codec
    private let position: StreamPosition
    private let notificationLength: Int
    /// Digits of the position's numbers.
    private let epochDigits: Int
    private let offsetDigits: Int

    /// - Parameter notificationLength: bytes of the notification, of which Protobuf's lengths tell.
    public init(_ codec: Codec, at position: StreamPosition, notificationLength: Int) {
        self.codec = codec
        self.position = position
        self.notificationLength = notificationLength
        epochDigits = Self.digitCount(position.epoch)
        offsetDigits = Self.digitCount(position.offset)
    }

    /// Bytes that `appendHead` appends: a frame's header, which stands before it, must say the length of all.
    public var headLength: Int {
        switch codec {
        case .json:
            return Self.jsonStart.count + Self.jsonTags.count + Self.jsonData.count + epochDigits + 2 * offsetDigits + 1
        case .protobuf:
            let reply = lengths.reply
            return varintLength(UInt64(reply)) + reply - notificationLength
        }
    }

    /// Of Protobuf's messages, each in the one before it. The notification is the last field of the innermost.
    private var lengths: (reply: Int, push: Int, publication: Int) {
        let data = 1 + varintLength(UInt64(notificationLength)) + notificationLength
        let publication = 1 + varintLength(position.offset) + 2 + tagLength + data
        let push = Self.protobufChannel.count + 1 + varintLength(UInt64(publication)) + publication
        return (1 + varintLength(UInt64(push)) + push, push, publication)
    }

    private var cursorLength: Int { 3 + epochDigits + offsetDigits }
    private var tagLength: Int { Self.protobufKey.count + 2 + cursorLength }

    /// Appends what stands before the tail.
    public func appendHead(to bytes: inout [UInt8]) {
        switch codec {
        case .json:
            bytes.append(contentsOf: Self.jsonStart)
            appendDigits(position.offset, to: &bytes)
            bytes.append(contentsOf: Self.jsonTags)
            position.append(to: &bytes)
            bytes.append(contentsOf: Self.jsonData)
        case .protobuf: appendProtobufHead(to: &bytes)
        }
    }

    private func appendProtobufHead(to bytes: inout [UInt8]) {
        let lengths = lengths
        appendVarint(UInt64(lengths.reply), to: &bytes)
        bytes.append(4 << 3 | 2)
        appendVarint(UInt64(lengths.push), to: &bytes)
        bytes.append(contentsOf: Self.protobufChannel)
        bytes.append(4 << 3 | 2)
        appendVarint(UInt64(lengths.publication), to: &bytes)
        bytes.append(6 << 3)
        appendVarint(position.offset, to: &bytes)
        // A tag and a cursor are shorter than 128 bytes, so that one byte says how long they are.
        bytes.append(7 << 3 | 2)
        bytes.append(UInt8(truncatingIfNeeded: tagLength))
        bytes.append(contentsOf: Self.protobufKey)
        bytes.append(2 << 3 | 2)
        bytes.append(UInt8(truncatingIfNeeded: cursorLength))
        Cursor(position).append(to: &bytes)
        bytes.append(4 << 3 | 2)
        appendVarint(UInt64(notificationLength), to: &bytes)
    }

    /// The notification and what closes its push.
    public static func tail(_ codec: Codec, _ notification: ArraySlice<UInt8>) -> [UInt8] {
        switch codec {
        case .json:
            var bytes: [UInt8] = []
            bytes.reserveCapacity(notification.count + jsonEnd.count)
            bytes.append(contentsOf: notification)
            bytes.append(contentsOf: jsonEnd)
            return bytes
        case .protobuf: return Array(notification)
        }
    }

    private static func digitCount(_ value: UInt64) -> Int {
        var count = 1
        var rest = value / 10
        while rest > 0 {
            count += 1
            rest /= 10
        }
        return count
    }
}
