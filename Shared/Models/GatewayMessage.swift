/// The lines of one batch for one gateway, without the head. Each notification has a line of recipients and a line with its
/// bytes, each ended by a line feed. The head carries the sequence, and is written where the sequence is made.
public struct GatewayBatch: Sendable {
    /// Complete lines.
    public private(set) var lines: [UInt8] = []
    /// Notifications (or control lines) in it.
    public private(set) var count = 0
    private var recipients = 0

    public init() {}

    public var isEmpty: Bool { lines.isEmpty }

    /// Adds a recipient of the notification that `end` will add. A nil position makes the next line a control line.
    /// - Parameter priority: the notification's; nil leaves it to be read from the notification.
    public mutating func recipient(
        _ connection: LocalConnection, _ position: StreamPosition?, accepted: Int64, priority: Priority? = nil
    ) {
        openRecipient()
        connection.append(to: &lines)
        closeRecipient(position, accepted, priority)
    }

    /// The same for the text `<index>.<generation>` of a connection, a range of bytes that a gateway has written.
    public mutating func recipient(
        _ bytes: [UInt8], _ range: Range<Int>, _ position: StreamPosition?, accepted: Int64, priority: Priority? = nil
    ) {
        openRecipient()
        lines.append(contentsOf: bytes[range])
        closeRecipient(position, accepted, priority)
    }

    /// Ends the line of recipients and adds the notification's bytes, which must hold no line break.
    public mutating func end(_ bytes: [UInt8], _ range: Range<Int>) {
        precondition(recipients > 0, "a notification without a recipient")
        lines.append(UInt8(ascii: "]"))
        lines.append(0x0A)
        lines.append(contentsOf: bytes[range])
        lines.append(0x0A)
        recipients = 0
        count += 1
    }

    /// Adds an empty line of recipients, and behind it a line that names its recipients itself.
    mutating func addLine(_ bytes: [UInt8]) {
        precondition(recipients == 0, "recipients without a notification")
        lines.append(contentsOf: "[]\n".utf8)
        lines.append(contentsOf: bytes)
        lines.append(0x0A)
        count += 1
    }

    /// Returns the lines and starts a new batch.
    public mutating func take() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &lines)
        count = 0
        return taken
    }

    private mutating func openRecipient() {
        lines.append(recipients == 0 ? UInt8(ascii: "[") : UInt8(ascii: ","))
        lines.append(UInt8(ascii: "["))
        lines.append(UInt8(ascii: "\""))
        recipients += 1
    }

    private mutating func closeRecipient(_ position: StreamPosition?, _ accepted: Int64, _ priority: Priority?) {
        lines.append(UInt8(ascii: "\""))
        lines.append(UInt8(ascii: ","))
        if let position {
            lines.append(UInt8(ascii: "\""))
            position.append(to: &lines)
            lines.append(UInt8(ascii: "\""))
        } else {
            lines.append(contentsOf: "null".utf8)
        }
        lines.append(UInt8(ascii: ","))
        appendDigits(UInt64(max(accepted, 0)), to: &lines)
        if let priority {
            lines.append(UInt8(ascii: ","))
            lines.append(UInt8(ascii: "0") + UInt8(priority.level))
        }
        lines.append(UInt8(ascii: "]"))
    }
}

/// Reads a message to a gateway: the head, then pair after pair of lines.
///
///     var at = 0
///     let head = try GatewayMessage.head(bytes, &at)
///     while let pair = try GatewayMessage.pair(bytes, &at) {
///         var each = pair.recipients.lowerBound
///         var recipients = try GatewayRecipients(bytes, &each)
///         while let recipient = try recipients.next(bytes, &each) { … }
///     }
public enum GatewayMessage {
    /// The first line.
    public struct Head: Equatable, Sendable {
        /// This batch's number among those of its gateway.
        public var sequence: UInt64
    }

    /// One notification and whom it is for, as ranges of the message.
    public struct Pair: Equatable, Sendable {
        public var recipients: Range<Int>
        public var notification: Range<Int>
    }

    /// The first line with its line feed.
    public static func head(sequence: UInt64) -> [UInt8] { Array("{\"v\":1,\"n\":\(sequence)}\n".utf8) }

    /// Reads the first line. Throws `unexpected` if it is of another version.
    public static func head(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Head {
        var version: Int64?
        var sequence: Int64?
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSONKey(bytes, name) {
            case .version: version = try JSON.integer(bytes, &at)
            case .sequence: sequence = try JSON.integer(bytes, &at)
            default: _ = try JSON.value(bytes, &at)
            }
        }
        guard version == 1, let sequence = sequence.flatMap(UInt64.init(exactly:)) else { throw .unexpected(at: 0) }
        guard at == bytes.count || bytes[at] == 0x0A else { throw .malformed(at: at) }
        at = min(at &+ 1, bytes.count)
        return Head(sequence: sequence)
    }

    /// Reads the next two lines; nil at the end. The bytes of the notification are not read.
    public static func pair(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> Pair? {
        guard at < bytes.count else { return nil }
        let recipients = line(bytes, &at)
        guard at < bytes.count else { throw .malformed(at: at) }
        let notification = line(bytes, &at)
        return Pair(recipients: recipients, notification: notification)
    }

    private static func line(_ bytes: Span<UInt8>, _ at: inout Int) -> Range<Int> {
        let start = at
        while at < bytes.count, bytes[at] != 0x0A { at &+= 1 }
        let range = start..<at
        at = min(at &+ 1, bytes.count)
        return range
    }
}

/// One recipient of a notification.
public struct GatewayRecipient: Equatable, Sendable {
    public var connection: LocalConnection
    /// Nil marks a control line.
    public var position: StreamPosition?
    /// ms since 1970, as in `NotificationRecord`; 0 in a control line.
    public var accepted: Int64
    /// The priority of the notification. Nil: the sender did not say it.
    public var priority: Priority?

    public init(connection: LocalConnection, position: StreamPosition?, accepted: Int64, priority: Priority? = nil) {
        self.connection = connection
        self.position = position
        self.accepted = accepted
        self.priority = priority
    }
}

/// The recipients of one line.
public struct GatewayRecipients {
    private var elements: JSONElements

    public init(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) { elements = try JSONElements(bytes, &at) }

    /// The next one; nil after the last.
    public mutating func next(_ bytes: Span<UInt8>, _ at: inout Int) throws(JSONError) -> GatewayRecipient? {
        guard try elements.next(bytes, &at) else { return nil }
        var fields = try JSONElements(bytes, &at)
        guard try fields.next(bytes, &at) else { throw .unexpected(at: at) }
        var contents = try JSON.string(bytes, &at).contents
        var inside = contents.lowerBound
        guard let connection = LocalConnection.read(bytes, &inside), inside == contents.upperBound,
            try fields.next(bytes, &at)
        else { throw .unexpected(at: at) }
        var position: StreamPosition?
        if try JSON.kind(bytes, &at) == .null {
            try JSON.null(bytes, &at)
        } else {
            contents = try JSON.string(bytes, &at).contents
            position = StreamPosition(bytes.extracting(contents))
            guard position != nil else { throw .unexpected(at: at) }
        }
        guard try fields.next(bytes, &at) else { throw .unexpected(at: at) }
        let accepted = try JSON.integer(bytes, &at)
        var priority: Priority?
        if try fields.next(bytes, &at) {
            if try JSON.kind(bytes, &at) == .number {
                priority = Priority(level: try JSON.integer(bytes, &at))
            } else {
                _ = try JSON.value(bytes, &at)
            }
            while try fields.next(bytes, &at) { _ = try JSON.value(bytes, &at) }
        }
        return GatewayRecipient(connection: connection, position: position, accepted: accepted, priority: priority)
    }
}

extension JSONKey {
    static let sequence = JSONKey("n")
}
