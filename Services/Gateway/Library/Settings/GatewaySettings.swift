public import Settings
import Store

/// What the gateway reads from the environment.
public struct GatewaySettings: SettingsGroup {
    static let tlsCertificateSetting = Setting(
        "TLS_CERTIFICATE_FILE", .path,
        help: "PEM file with the gateway's certificate and those above it; set: clients must speak TLS. Read again on SIGHUP")
    static let tlsKeySetting = Setting("TLS_KEY_FILE", .path, help: "PEM file with the key of TLS_CERTIFICATE_FILE")

    let admission: AdmissionSettings
    let liveness: LivenessSettings
    let sending: SendSettings
    let calls: CallSettings
    let deflate: DeflateSettings
    let watching: WatchingSettings
    let tickets: TicketSettings
    let loops: LoopSettings
    /// Nil: clients speak plain text.
    let certificate: Certificate?
    let redis: RedisSettings
    let tokens: TokenSettings
    /// Nil: nobody may revoke.
    let apiKey: APIKeySettings?

    var marking: InboxLimits { calls.marking }
    var channels: ChannelLimits { watching.channels }

    /// In the order in which `deploy/env.md` lists them.
    public static let declarations =
        [
            AdmissionSettings.maxConnectionsSetting.description,
            AdmissionSettings.maxPerPersonSetting.description,
            AdmissionSettings.maxPerAddressSetting.description,
            CallSettings.operationsPerMinuteSetting.description,
            LivenessSettings.idleTimeoutSetting.description,
            AdmissionSettings.rateSetting.description,
            tlsCertificateSetting.description,
            tlsKeySetting.description,
            LoopSettings.countSetting.description,
            LoopSettings.leaseIntervalSetting.description,
            LivenessSettings.pingIntervalSetting.description,
            LivenessSettings.pongTimeoutSetting.description,
            LivenessSettings.commentIntervalSetting.description,
            LivenessSettings.handshakeTimeoutSetting.description,
            LivenessSettings.pollMaxWaitSetting.description,
            DeflateSettings.isOnSetting.description,
            DeflateSettings.minimumBytesSetting.description,
            CallSettings.messageBytesSetting.description,
            SendSettings.bytesSetting.description,
            SendSettings.messagesSetting.description,
            SendSettings.timeSetting.description,
            SendSettings.socketBytesSetting.description,
            SendSettings.pageEntriesSetting.description,
            LoopSettings.reconcileWindowSetting.description,
            LoopSettings.drainWindowSetting.description,
            AdmissionSettings.retryDelaySetting.description,
            TicketSettings.lifetimeSetting.description,
            TicketSettings.publicURLSetting.description,
            CallSettings.idsSetting.description,
            CallSettings.maximumWindowSetting.description,
            CallSettings.maximumRateSetting.description,
            WatchingSettings.maxSubscriptionsSetting.description,
            WatchingSettings.presenceMaxSetting.description,
            WatchingSettings.presenceBytesSetting.description,
        ] + InboxLimits.markDeclarations + ChannelLimits.declarations
        + RedisSettings.declarations + TokenSettings.declarations
        + APIKeySettings.declarations.map(\.optional)

    public init(_ environment: Environment) throws(SettingsError) {
        admission = try AdmissionSettings(environment)
        liveness = try LivenessSettings(environment)
        sending = try SendSettings(environment)
        calls = try CallSettings(environment)
        deflate = try DeflateSettings(environment)
        watching = try WatchingSettings(environment)
        tickets = try TicketSettings(environment)
        loops = try LoopSettings(environment)
        certificate = try Certificate(
            file: try environment.optional(Self.tlsCertificateSetting), key: try environment.optional(Self.tlsKeySetting))
        redis = try RedisSettings(environment)
        tokens = try TokenSettings(environment)
        apiKey = try environment.optional(Common.apiKey) == nil ? nil : APIKeySettings(environment)
    }
}
