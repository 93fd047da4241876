import Models

/// How commands and replies are written in a frame: what the client's subprotocol says.
public enum Codec: UInt8, CaseIterable, Sendable {
    /// Text frames; each message is an object on a line of its own.
    case json
    /// Binary frames; each message stands behind its length. The data of calls and publications is JSON here too.
    case protobuf

    /// The commands of one frame, at least one. Throws if any of them is malformed: then none is to be obeyed.
    /// - Parameter limit: most commands that are read; what stands behind them is not looked at.
    public func decode(_ frame: Span<UInt8>, limit: Int = .max) throws(MalformedCommand) -> [Command] {
        switch self {
        case .json: try Command.decodeJSON(frame, limit: limit)
        case .protobuf: try Command.decodeProtobuf(frame, limit: limit)
        }
    }

    /// A ping of the application's own, which the SDKs count on.
    public var ping: [UInt8] {
        switch self {
        case .json: Array("{}".utf8)
        // An empty message.
        case .protobuf: [0]
        }
    }

    /// A frame's content with one reply in it.
    public func encode(_ reply: Reply, to id: UInt64) -> [UInt8] {
        switch self {
        case .json:
            var writer = JSONWriter(capacity: reply.estimatedLength)
            writer.reply(reply, to: id)
            return writer.take()
        case .protobuf:
            var writer = ProtobufWriter(capacity: reply.estimatedLength)
            writer.reply(reply, to: id)
            return writer.bytes
        }
    }

    /// A frame's content with one push in it.
    public func encode(_ push: Push) -> [UInt8] {
        switch self {
        case .json:
            var writer = JSONWriter(capacity: push.estimatedLength)
            writer.push(push)
            return writer.take()
        case .protobuf:
            var writer = ProtobufWriter(capacity: push.estimatedLength)
            writer.push(push)
            return writer.bytes
        }
    }

    /// A frame's content with a reply in it and a push behind it.
    public func encode(_ reply: Reply, to id: UInt64, then push: Push) -> [UInt8] {
        switch self {
        case .json:
            var writer = JSONWriter(capacity: reply.estimatedLength + push.estimatedLength)
            writer.reply(reply, to: id)
            writer.byte(0x0A)
            writer.push(push)
            return writer.take()
        case .protobuf: return encode(reply, to: id) + encode(push)
        }
    }
}

extension Reply {
    /// Bytes that are enough for nearly all, so that a buffer need not grow.
    var estimatedLength: Int {
        switch self {
        case .error: 128
        case .connect(let result): 512 + result.inbox.publications.reduce(0) { $0 + $1.data.count + 96 }
        case .refresh: 192
        case .subscribe(let result): 192 + result.publications.reduce(0) { $0 + $1.data.count + 32 }
        case .unsubscribe: 48
        case .history(_, let entries): 128 + entries.reduce(0) { $0 + $1.data.count + 32 }
        case .presence(let watchers): 128 + watchers.reduce(0) { $0 + $1.info.count + 64 }
        case .presenceStats: 96
        case .rpc(let data): data.count + 48
        }
    }
}

extension Push {
    /// Bytes that are enough for nearly all, so that a buffer need not grow.
    var estimatedLength: Int {
        switch self {
        case .message(let data): data.count + 48
        case .inbox: 160
        case .post(let channel, _, let notification): notification.count + channel.text.utf8.count + 96
        case .join(_, let info), .leave(_, let info): info.count + 256
        case .unsubscribe: 256
        }
    }
}
