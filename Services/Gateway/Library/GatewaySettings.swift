import EventLoop
import Network
import ServiceRuntime
public import Settings
import Store

/// What the gateway reads from the environment.
public struct GatewaySettings: SettingsGroup {
    static let maxConnectionsSetting = Setting(
        "MAX_CONNECTIONS", .integer(1...10_000_000),
        help: "Connections at most; further ones are asked to come back later (default: the descriptor limit less 256)")
    static let maxPerPersonSetting = Setting(
        "MAX_CONNECTIONS_PER_PERSON", .integer(1...1_000_000), default: "100",
        help: "Sessions of one person at most; further ones are asked to come back later")
    static let maxPerAddressSetting = Setting(
        "MAX_CONNECTIONS_PER_ADDRESS", .integer(1...10_000_000), default: "1000",
        help: "Connections from one address (of IPv6: from one /64) at most; TRUSTED_PROXIES have no limit")
    static let operationsSetting = Setting(
        "OPERATIONS_PER_MINUTE", .integer(10...10_000_000), default: "6000",
        help: "Commands that one connection may send in a minute; beyond it is closed with 3013")
    static let idleTimeoutSetting = Setting(
        "IDLE_TIMEOUT", .duration(.seconds(1) ... .seconds(3600)), default: "75s",
        help: "How long a connection may stay open between two requests")
    static let admissionRateSetting = Setting(
        "ADMISSION_RATE", .integer(10...1_000_000), default: "2000",
        help: "New WebSocket and SSE sessions in any second at most; the others are asked to come back, spread over time")
    static let tlsCertificateSetting = Setting(
        "TLS_CERTIFICATE_FILE", .path,
        help: "PEM file with the gateway's certificate and those above it; set: clients must speak TLS. Read again on SIGHUP")
    static let tlsKeySetting = Setting("TLS_KEY_FILE", .path, help: "PEM file with the key of TLS_CERTIFICATE_FILE")
    static let loopsSetting = Setting(
        "GATEWAY_LOOPS", .integer(1...64), default: "1",
        help: "Event loops, each on a thread of its own with a listener, a lease and Redis connections of its own")
    static let leaseIntervalSetting = Setting(
        "LEASE_INTERVAL", .duration(.milliseconds(100) ... .seconds(60)), default: "1s",
        help: "How often a gateway advances its lease; well below LEASE_LENGTH")
    static let pingIntervalSetting = Setting(
        "PING_INTERVAL", .duration(.seconds(2) ... .seconds(60)), default: "25s",
        help: "How often a WebSocket client is pinged")
    static let pongTimeoutSetting = Setting(
        "PONG_TIMEOUT", .duration(.seconds(1) ... .seconds(60)), default: "10s",
        help: "How long a pinged client may stay silent before it is closed; below PING_INTERVAL")
    static let commentIntervalSetting = Setting(
        "SSE_COMMENT_INTERVAL", .duration(.seconds(1) ... .seconds(60)), default: "15s",
        help: "How often an SSE client gets a comment, so that proxies keep its connection")
    static let pollMaxWaitSetting = Setting(
        "POLL_MAX_WAIT", .duration(.seconds(1) ... .seconds(60)), default: "55s",
        help: "How long a long poll may wait; below the time-outs of whatever stands before the gateway")
    static let handshakeTimeoutSetting = Setting(
        "HANDSHAKE_TIMEOUT", .duration(.seconds(1) ... .seconds(60)), default: "10s",
        help: "How long a request's head, and after a WebSocket's opening its connect command, may take")
    static let messageBytesSetting = Setting(
        "CLIENT_MESSAGE_MAX_BYTES", .size(1024...1_048_576), default: "64KB",
        help: "Largest message of a client, over all its fragments")
    static let deflateSetting = Setting(
        "WEBSOCKET_DEFLATE", .boolean, default: "false",
        help: "Compress messages (permessage-deflate) with WebSocket clients that offer it")
    static let deflateBytesSetting = Setting(
        "WEBSOCKET_DEFLATE_MIN_BYTES", .size(1...1_048_576), default: "256B",
        help: "Shortest message that is compressed, where that was agreed on")
    static let sendBytesSetting = Setting(
        "SEND_BUFFER_BYTES", .size(4096...16_777_216), default: "64KB",
        help: "Bytes waiting for a slow client's socket beyond which it is served from the inbox")
    static let sendMessagesSetting = Setting(
        "SEND_BUFFER_MESSAGES", .integer(1...100_000), default: "100",
        help: "Messages waiting for a slow client's socket beyond which it is served from the inbox")
    static let sendTimeSetting = Setting(
        "SEND_BUFFER_TIME", .duration(.seconds(1) ... .seconds(3600)), default: "30s",
        help: "How long something may wait for a slow client's socket before it is served from the inbox")
    static let socketBytesSetting = Setting(
        "SOCKET_BUFFER_BYTES", .size(4608...4_194_304), default: "64KB",
        help: "What the kernel may hold for a client's socket, its bookkeeping included (SO_SNDBUF as it reports it)")
    static let callIDsSetting = Setting(
        "CALL_MAX_IDS", .integer(1...1000), default: "100", help: "Notifications that one call of a client may name")
    static let windowSetting = Setting(
        "WINDOW_MAX", .integer(1...10_000), default: "1000", help: "Largest window that a client may ask for")
    static let rateSetting = Setting(
        "RATE_MAX", .integer(1...10_000), default: "1000", help: "Highest rate, a second, that a client may ask for")
    static let pageEntriesSetting = Setting(
        "PAGE_ENTRIES", .integer(1...1000), default: "100", help: "Notifications read from an inbox at a time")
    static let reconcileWindowSetting = Setting(
        "RECONCILE_WINDOW", .integer(1...10_000), default: "64",
        help: "Sessions compared with their inboxes at the same time after a suspected loss")
    static let drainWindowSetting = Setting(
        "DRAIN_WINDOW", .duration(.zero ... .seconds(600)), default: "20s",
        help: "Over how long a draining gateway spreads its clients' leaving; cut to DRAIN_TIMEOUT less 5s")
    static let retryDelaySetting = Setting(
        "RETRY_DELAY", .duration(.milliseconds(100) ... .seconds(60)), default: "2s",
        help: "After how long, with jitter, a client is asked to come back that cannot be served now")
    static let ticketLifetimeSetting = Setting(
        "TICKET_LIFETIME", .duration(.seconds(1) ... .seconds(600)), default: "30s",
        help: "How long a ticket of /v1/connect waits for its first use")
    static let publicURLSetting = Setting(
        "PUBLIC_URL", .url(["http": 80, "https": 443]),
        help: "Base of the URLs that /v1/connect answers; unset: the request's own host")

    static let maxSubscriptionsSetting = Setting(
        "MAX_SUBSCRIPTIONS", .integer(0...1_000), default: "64", help: "Channels that one connection watches, at most")
    static let presenceMaxSetting = Setting(
        "CHANNEL_PRESENCE_MAX", .integer(0...10_000), default: "1000",
        help: "Watchers of a channel up to which they are named, and told of each other's coming and going")
    static let presenceBytesSetting = Setting(
        "CHANNEL_PRESENCE_MAX_BYTES", .size(1024...16_777_216), default: "1MB",
        help: "Largest answer that names the watchers of a channel; it lies in memory until its client has read it")

    public let maxConnections: Int?
    let maxPerPerson: Int
    let maxPerAddress: Int
    let trustedProxies: [AddressRange]
    let operationsPerMinute: Int
    let idleTimeout: Duration
    let admissionRate: Int
    let certificate: Certificate?
    let loops: Int
    public let leaseInterval: Duration
    let pingSeconds: Int
    let pongSeconds: Int
    let commentSeconds: Int
    /// Seconds.
    let pollMaxWait: Int
    let handshakeTimeout: Duration
    let messageBytes: Int
    let deflates: Bool
    let deflateBytes: Int
    let sendBytes: Int
    let sendMessages: Int
    let sendSeconds: Int
    let socketBytes: Int
    let pageEntries: Int
    let callIDs: Int
    let maximumWindow: Int
    let maximumRate: Int
    /// Of an inbox, for who marks what stands in it.
    let marking: InboxLimits
    let reconcileWindow: Int
    let drainWindow: Duration
    let retryDelay: Duration
    let ticketLifetime: Duration
    let publicURL: ServiceURL?
    let maxSubscriptions: Int
    let presenceMax: Int
    let presenceBytes: Int
    let channels: ChannelLimits
    let redis: RedisSettings
    let tokens: TokenSettings
    /// Nil: nobody may revoke.
    let apiKey: APIKeySettings?

    /// After how long a client is asked to come back, in ms: between one and two times RETRY_DELAY.
    func jitteredRetry() -> UInt64 {
        let base = retryDelay.wholeMilliseconds
        return base + UInt64.random(in: 0...base)
    }

    /// After how long a machine that has vanished is gone at the latest.
    var silenceSeconds: Int { pingSeconds + pongSeconds }

    public static let declarations =
        [
            maxConnectionsSetting.description, maxPerPersonSetting.description, maxPerAddressSetting.description,
            operationsSetting.description, idleTimeoutSetting.description,
            admissionRateSetting.description, tlsCertificateSetting.description, tlsKeySetting.description, loopsSetting.description,
            leaseIntervalSetting.description, pingIntervalSetting.description,
            pongTimeoutSetting.description, commentIntervalSetting.description, handshakeTimeoutSetting.description,
            pollMaxWaitSetting.description, deflateSetting.description, deflateBytesSetting.description,
            messageBytesSetting.description, sendBytesSetting.description, sendMessagesSetting.description,
            sendTimeSetting.description, socketBytesSetting.description, pageEntriesSetting.description, reconcileWindowSetting.description,
            drainWindowSetting.description,
            retryDelaySetting.description, ticketLifetimeSetting.description, publicURLSetting.description,
            callIDsSetting.description, windowSetting.description, rateSetting.description,
            maxSubscriptionsSetting.description, presenceMaxSetting.description, presenceBytesSetting.description,
        ] + InboxLimits.markDeclarations + ChannelLimits.declarations
        + RedisSettings.declarations + TokenSettings.declarations
        + APIKeySettings.declarations.map(\.optional)

    public init(_ environment: Environment) throws(SettingsError) {
        maxConnections = try environment.optional(Self.maxConnectionsSetting)
        maxPerPerson = try environment.value(Self.maxPerPersonSetting)
        maxPerAddress = try environment.value(Self.maxPerAddressSetting)
        trustedProxies = try environment.value(RuntimeSettings.trustedProxies)
        operationsPerMinute = try environment.value(Self.operationsSetting)
        idleTimeout = try environment.value(Self.idleTimeoutSetting)
        admissionRate = try environment.value(Self.admissionRateSetting)
        certificate = try Certificate(
            file: try environment.optional(Self.tlsCertificateSetting), key: try environment.optional(Self.tlsKeySetting))
        loops = try environment.value(Self.loopsSetting)
        leaseInterval = try environment.value(Self.leaseIntervalSetting)
        let ping = try environment.value(Self.pingIntervalSetting)
        let pong = try environment.value(Self.pongTimeoutSetting)
        guard pong < ping else {
            throw SettingsError(name: "PONG_TIMEOUT", "PONG_TIMEOUT: must be shorter than PING_INTERVAL")
        }
        pingSeconds = Int(ping / .seconds(1))
        pongSeconds = Int(pong / .seconds(1))
        commentSeconds = Int(try environment.value(Self.commentIntervalSetting) / .seconds(1))
        pollMaxWait = Int(try environment.value(Self.pollMaxWaitSetting) / .seconds(1))
        handshakeTimeout = try environment.value(Self.handshakeTimeoutSetting)
        messageBytes = try environment.value(Self.messageBytesSetting)
        deflates = try environment.value(Self.deflateSetting)
        deflateBytes = try environment.value(Self.deflateBytesSetting)
        sendBytes = try environment.value(Self.sendBytesSetting)
        sendMessages = try environment.value(Self.sendMessagesSetting)
        sendSeconds = Int(try environment.value(Self.sendTimeSetting) / .seconds(1))
        socketBytes = try environment.value(Self.socketBytesSetting)
        pageEntries = try environment.value(Self.pageEntriesSetting)
        callIDs = try environment.value(Self.callIDsSetting)
        maximumWindow = try environment.value(Self.windowSetting)
        maximumRate = try environment.value(Self.rateSetting)
        marking = try InboxLimits(marking: environment)
        reconcileWindow = try environment.value(Self.reconcileWindowSetting)
        let drainTimeout = try environment.value(RuntimeSettings.drainTimeout)
        drainWindow = min(try environment.value(Self.drainWindowSetting), max(.zero, drainTimeout - .seconds(5)))
        retryDelay = try environment.value(Self.retryDelaySetting)
        ticketLifetime = try environment.value(Self.ticketLifetimeSetting)
        publicURL = try environment.optional(Self.publicURLSetting)
        maxSubscriptions = try environment.value(Self.maxSubscriptionsSetting)
        presenceMax = try environment.value(Self.presenceMaxSetting)
        presenceBytes = try environment.value(Self.presenceBytesSetting)
        channels = try ChannelLimits(environment)
        redis = try RedisSettings(environment)
        tokens = try TokenSettings(environment)
        apiKey = try environment.optional(Common.apiKey) == nil ? nil : APIKeySettings(environment)
    }
}
