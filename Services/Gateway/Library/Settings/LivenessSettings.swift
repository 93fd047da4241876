import Settings

/// How long a client may be silent, and how it is kept awake.
struct LivenessSettings {
    static let idleTimeoutSetting = Setting(
        "IDLE_TIMEOUT", .duration(.seconds(1) ... .seconds(3600)), default: "75s",
        help: "How long a connection may stay open between two requests")
    static let handshakeTimeoutSetting = Setting(
        "HANDSHAKE_TIMEOUT", .duration(.seconds(1) ... .seconds(60)), default: "10s",
        help: "How long a request's head, and after a WebSocket's opening its connect command, may take")
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

    let idleTimeout: Duration
    let handshakeTimeout: Duration
    let pingSeconds: Int
    let pongSeconds: Int
    let commentSeconds: Int
    /// Seconds.
    let pollMaxWait: Int

    init(_ environment: Environment) throws(SettingsError) {
        idleTimeout = try environment.value(Self.idleTimeoutSetting)
        handshakeTimeout = try environment.value(Self.handshakeTimeoutSetting)
        let ping = try environment.value(Self.pingIntervalSetting)
        let pong = try environment.value(Self.pongTimeoutSetting)
        guard pong < ping else {
            throw SettingsError(name: "PONG_TIMEOUT", "PONG_TIMEOUT: must be shorter than PING_INTERVAL")
        }
        pingSeconds = Int(ping / .seconds(1))
        pongSeconds = Int(pong / .seconds(1))
        commentSeconds = Int(try environment.value(Self.commentIntervalSetting) / .seconds(1))
        pollMaxWait = Int(try environment.value(Self.pollMaxWaitSetting) / .seconds(1))
    }

    /// After how long a machine that has vanished is gone at the latest.
    var silenceSeconds: Int { pingSeconds + pongSeconds }
}
