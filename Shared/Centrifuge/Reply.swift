public import Models

/// The answer to a command.
public enum Reply: Equatable, Sendable {
    case error(ReplyError)
    case connect(ConnectResult)
    case refresh(RefreshResult)
    case subscribe(SubscribeResult)
    case unsubscribe
    case history(StreamPosition, [StoredPublication])
    case presence([Watching])
    case presenceStats(clients: Int, people: Int)
    /// JSON.
    case rpc([UInt8])

    /// One connection that watches a channel.
    public struct Watching: Equatable, Sendable {
        public var connection: String
        /// As `json` of `ClientInfo` writes it.
        public var info: [UInt8]

        public init(connection: String, info: [UInt8]) {
            self.connection = connection
            self.info = info
        }
    }
}

/// What the gateway says without having been asked.
public enum Push: Equatable, Sendable {
    /// Belongs to no channel. JSON.
    case message([UInt8])
    /// The subscription `inbox` goes on from this position.
    case inbox(StreamPosition)
    /// A post to a channel: its offset, and the notification's JSON.
    case post(ChannelID, UInt64, ArraySlice<UInt8>)
    /// Somebody came. As `json` of `ClientInfo` writes it.
    case join(ChannelID, ArraySlice<UInt8>)
    /// Somebody went.
    case leave(ChannelID, ArraySlice<UInt8>)
    case unsubscribe(ChannelID, Unsubscribe)
}

public struct ConnectResult: Equatable, Sendable {
    /// The connection's name.
    public var client: String
    /// Of the server.
    public var version: String
    /// Seconds until the client should bring a new token.
    public var ttl: Int64
    /// Seconds between two pings.
    public var ping: Int
    /// JSON.
    public var data: [UInt8]
    /// The subscription that a connection has by itself. Its publications carry a cursor.
    public var inbox: SubscribeResult

    public init(client: String, version: String, ttl: Int64, ping: Int, data: [UInt8], inbox: SubscribeResult) {
        self.client = client
        self.version = version
        self.ttl = ttl
        self.ping = ping
        self.data = data
        self.inbox = inbox
    }
}

public struct RefreshResult: Equatable, Sendable {
    public var client: String
    public var version: String
    /// Seconds until the client should bring a new token.
    public var ttl: Int64

    public init(client: String, version: String, ttl: Int64) {
        self.client = client
        self.version = version
        self.ttl = ttl
    }
}

public struct SubscribeResult: Equatable, Sendable {
    /// Before the publications: an SDK that is cut off while it takes them asks again from here.
    public var position: StreamPosition
    public var wasRecovering: Bool
    public var recovered: Bool
    public var publications: [StoredPublication]

    public init(position: StreamPosition, wasRecovering: Bool, recovered: Bool, publications: [StoredPublication]) {
        self.position = position
        self.wasRecovering = wasRecovering
        self.recovered = recovered
        self.publications = publications
    }
}

/// A notification as a stream keeps it.
public struct StoredPublication: Equatable, Sendable {
    public var offset: UInt64
    /// The notification's JSON. It is spliced in, and not looked at.
    public var data: [UInt8]

    public init(offset: UInt64, data: [UInt8]) {
        self.offset = offset
        self.data = data
    }
}

/// What others are shown of one who watches a channel.
public struct ClientInfo: Equatable, Sendable {
    public var user: String
    public var client: String
    /// JSON, of the token.
    public var connectionInfo: [UInt8]?

    public init(user: String, client: String, connectionInfo: [UInt8]?) {
        self.user = user
        self.client = client
        self.connectionInfo = connectionInfo
    }

    /// On one line, whatever the token's `info` was written like.
    public var json: [UInt8] {
        var writer = JSONWriter(capacity: 160 + (connectionInfo?.count ?? 0))
        writer.raw(#"{"user":"#)
        writer.string(user)
        writer.raw(#","client":"#)
        writer.string(client)
        if let connectionInfo {
            writer.raw(#","conn_info":"#)
            writer.line(connectionInfo, connectionInfo.indices)
        }
        writer.raw("}")
        return writer.take()
    }
}
