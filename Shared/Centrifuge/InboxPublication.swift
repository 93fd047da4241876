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

    private let codec: Codec
    private let position: StreamPosition
    private let notificationLength: Int
    /// Digits of the position's numbers.
    private let epochDigits: Int
    private let offsetDigits: Int

    /// - Parameter notificationLength: bytes of the notification.
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
            Self.jsonStart.count + Self.jsonTags.count + Self.jsonData.count + epochDigits + 2 * offsetDigits + 1
        }
    }

    /// Appends what stands before the tail.
    public func appendHead(to bytes: inout [UInt8]) {
        switch codec {
        case .json:
            bytes.append(contentsOf: Self.jsonStart)
            appendDigits(position.offset, to: &bytes)
            bytes.append(contentsOf: Self.jsonTags)
            position.append(to: &bytes)
            bytes.append(contentsOf: Self.jsonData)
        }
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
