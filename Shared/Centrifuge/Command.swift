public import Models

/// One command of the Centrifuge client protocol, whichever codec it came in. One frame carries one or more.
public enum Command: Equatable, Sendable {
    /// The answer to our ping.
    case pong
    case connect(id: UInt64, ConnectRequest)
    case refresh(id: UInt64, token: String)
    case channel(id: UInt64, ChannelCommand)
    /// A command of the protocol that is not served here.
    case unserved(id: UInt64)
    /// No command of the protocol.
    case unknown(id: UInt64)
    case rpc(id: UInt64, Result<Call, ReplyError>)
    /// Has no answer.
    case send(Result<Call, ReplyError>)
}

/// A frame that is not of the protocol. The connection is closed with `Disconnect.badRequest`.
public struct MalformedCommand: Error, Equatable {
    public init() {}
}

/// What a client says of itself when it connects.
public struct ConnectRequest: Equatable, Sendable {
    /// Empty where the client relies on a ticket or a header.
    public var token: String
    /// What it calls itself.
    public var name: String
    /// What it wants to recover of the subscription `inbox`.
    public var recovery: Recovery

    public init(token: String = "", name: String = "", recovery: Recovery = .none) {
        self.token = token
        self.name = name
        self.recovery = recovery
    }

    public enum Recovery: Equatable, Sendable {
        case none
        case from(StreamPosition)
        /// It asks to recover from something that is no position here.
        case unknown
    }
}

/// A command about channels.
public enum ChannelCommand: Equatable, Sendable {
    case subscribe(SubscribeRequest)
    case unsubscribe(String)
    case presence(String)
    case presenceStats(String)
    case history(HistoryRequest)

    /// The channel's name, as the client sent it.
    public var channel: String {
        switch self {
        case .subscribe(let request): request.channel
        case .unsubscribe(let name), .presence(let name), .presenceStats(let name): name
        case .history(let request): request.channel
        }
    }
}

public struct SubscribeRequest: Equatable, Sendable {
    /// Bit of `flag`: what cannot be recovered is to be an error. Bit 1 offers numbers for channels, which a server need not take.
    static let rejectsUnrecoveredFlag: Int64 = 2

    public var channel: String
    /// What it wants to recover.
    public var recovery: ConnectRequest.Recovery
    /// It asks to be told who comes and goes.
    public var joinLeave: Bool
    /// What cannot be recovered is to be an error (112), not a subscription from the present on.
    public var rejectsUnrecovered: Bool

    public init(
        channel: String = "", recovery: ConnectRequest.Recovery = .none, joinLeave: Bool = false, rejectsUnrecovered: Bool = false
    ) {
        self.channel = channel
        self.recovery = recovery
        self.joinLeave = joinLeave
        self.rejectsUnrecovered = rejectsUnrecovered
    }
}

public struct HistoryRequest: Equatable, Sendable {
    public var channel: String
    /// 0: only where the stream stands. Negative: as many as are given at once.
    public var limit: Int64
    public var since: Since
    public var isReversed: Bool

    public init(channel: String = "", limit: Int64 = 0, since: Since = .none, isReversed: Bool = false) {
        self.channel = channel
        self.limit = limit
        self.since = since
        self.isReversed = isReversed
    }

    /// Behind which post it is to begin.
    public enum Since: Equatable, Sendable {
        case none
        case from(StreamPosition)
        /// Of whatever epoch the stream has now.
        case offset(UInt64)
        /// It names something that is no position here.
        case unknown
    }
}

/// `epoch` and `offset` among the fields of a command: where a client says that it stands.
struct StatedPlace {
    /// Empty if the client names no epoch: it leaves it out, or says "" as SDKs do.
    var epoch = ""
    /// SDKs leave it out where it is 0. Nil: what was sent is no offset.
    var offset: UInt64? = 0

    /// Of what is to be recovered, which must name its epoch.
    var recovery: ConnectRequest.Recovery {
        guard let epoch = UInt64(epoch), let offset else { return .unknown }
        return .from(StreamPosition(epoch: epoch, offset: offset))
    }

    /// Of a history, in which an epoch that is not named may be any.
    var since: HistoryRequest.Since {
        guard let offset else { return .unknown }
        if epoch.isEmpty { return .offset(offset) }
        return UInt64(epoch).map { .from(StreamPosition(epoch: $0, offset: offset)) } ?? .unknown
    }
}

extension ChannelID {
    private static let prefix = "channel:"

    /// `channel:<id>`, as clients name it; nil for anything else. Taken apart by bytes: to `String` the colon and a combining
    /// mark behind it are one character.
    public init?(subscribed text: String) {
        guard text.utf8.starts(with: Self.prefix.utf8) else { return nil }
        self.init(String(Substring(text.utf8.dropFirst(Self.prefix.utf8.count))))
    }

    /// As clients name it.
    var subscribedName: String { Self.prefix + text }
}
