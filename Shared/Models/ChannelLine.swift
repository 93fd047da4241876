/// A line for the watchers of a channel at one gateway. Its line of recipients is empty, `[]`, so that a gateway that knows
/// no channels steps over both.
///
///     {"channel":"general","position":"<epoch>-<offset>","accepted":<ms>,"priority":<level>,"pub":<notification>}
///     {"channel":"general","join":<info>}   or "leave"
public struct ChannelLine: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        /// A post, as a range of the line's bytes, and its place in the channel.
        case post(StreamPosition, Range<Int>)
        /// Somebody began to watch. The range holds the JSON that the other watchers are shown.
        case join(Range<Int>)
        case leave(Range<Int>)
        /// A line of a kind that only a later version knows.
        case unknown
    }

    public var channel: ChannelID
    public var kind: Kind
    /// When the event of the post was accepted, as in `NotificationRecord`. 0: the sender did not say it.
    public var accepted: Int64 = 0
    /// The priority of the post. Nil: the sender did not say it.
    public var priority: Priority?

    /// Reads the line at `range`. The bytes of the post are skipped and not read.
    public static func read(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(JSONError) -> ChannelLine {
        let line = bytes.extracting(range)
        var at = 0
        var channel: ChannelID?
        var position: StreamPosition?
        var post: Range<Int>?
        var kind = Kind.unknown
        var accepted: Int64 = 0
        var priority: Priority?
        var members = try JSONMembers(line, &at)
        while let name = try members.next(line, &at) {
            switch JSONKey(line, name) {
            case .channel: channel = try identifier(line, &at)
            case .position: position = StreamPosition(line.extracting(try JSON.string(line, &at).contents))
            case .accepted: accepted = try JSON.integer(line, &at)
            case .priority: priority = Priority(level: try JSON.integer(line, &at))
            case .pub: post = shifted(try JSON.value(line, &at), by: range.lowerBound)
            case .join: kind = .join(shifted(try JSON.value(line, &at), by: range.lowerBound))
            case .leave: kind = .leave(shifted(try JSON.value(line, &at), by: range.lowerBound))
            default: _ = try JSON.value(line, &at)
            }
        }
        try JSON.end(line, &at)
        guard let channel else { throw .unexpected(at: 0) }
        if let post {
            guard let position else { throw .unexpected(at: 0) }
            kind = .post(position, post)
        }
        return ChannelLine(channel: channel, kind: kind, accepted: accepted, priority: priority)
    }

    private static func shifted(_ range: Range<Int>, by offset: Int) -> Range<Int> {
        range.lowerBound &+ offset..<range.upperBound &+ offset
    }
}

extension GatewayBatch {
    /// Adds a post for a channel's watchers, whose bytes must hold no line break.
    /// - Parameters:
    ///   - accepted: ms since 1970, as in `NotificationRecord`; 0: not known.
    ///   - priority: the post's; nil leaves it to be read from the post.
    public mutating func post(
        _ channel: ChannelID, _ position: StreamPosition, accepted: Int64 = 0, priority: Priority? = nil, _ bytes: [UInt8],
        _ range: Range<Int>
    ) {
        var writer = JSONWriter(capacity: range.count + 256)
        writer.raw(#"{"channel":"#)
        writer.string(channel.text)
        writer.raw(#","position":""#)
        position.append(to: &writer.bytes)
        writer.raw(#"","accepted":"#)
        writer.integer(max(accepted, 0))
        if let priority {
            writer.raw(#","priority":"#)
            writer.integer(Int64(priority.level))
        }
        writer.raw(#","pub":"#)
        writer.raw(bytes, range)
        writer.byte(UInt8(ascii: "}"))
        addLine(writer.take())
    }

    /// Tells the listeners of a channel that somebody came or went. `info` is JSON without a line break.
    public mutating func presence(_ channel: ChannelID, joins: Bool, _ info: [UInt8]) {
        var writer = JSONWriter(capacity: info.count + 192)
        writer.raw(#"{"channel":"#)
        writer.string(channel.text)
        writer.raw(joins ? #","join":"# : #","leave":"#)
        writer.raw(info)
        writer.byte(UInt8(ascii: "}"))
        addLine(writer.take())
    }
}

extension JSONKey {
    static let position = JSONKey("position")
    static let pub = JSONKey("pub")
    static let join = JSONKey("join")
    static let leave = JSONKey("leave")
}
