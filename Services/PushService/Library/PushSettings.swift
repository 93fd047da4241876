public import Settings
internal import Store

/// What the push-service reads from the environment.
public struct PushSettings: SettingsGroup {
    public let redis: RedisSettings
    public let kafka: KafkaServerSettings
    public let tokens: TokenSettings
    public let apns: APNsSettings
    public let retry: RetryLimits
    public let batchRecords: Int
    public let parkedRecords: Int
    public let devicesPerPerson: Int
    /// ms; for so long what was pushed is remembered.
    public let dedupWindow: Int64

    static let url = Setting(
        "APNS_URL", .url(["https": 443]), default: "https://api.push.apple.com",
        help: "Where pushes are sent; Apple's sandbox is https://api.sandbox.push.apple.com")
    static let sandboxURL = Setting(
        "APNS_SANDBOX_URL", .url(["https": 443]),
        help:
            "Where pushes to devices of the sandbox are sent; where it is not set, Apple's sandbox if APNS_URL is Apple's own, else APNS_URL"
    )
    static let caFile = Setting("APNS_CA_FILE", .path, help: "CAs (PEM) trusted instead of the system's, for a stand-in")
    static let keyFile = Setting(
        "APNS_KEY_FILE", .path, help: "Apple's signing key, a .p8 file; without it each push becomes a dead letter")
    static let keyID = Setting("APNS_KEY_ID", .name(1...64), help: "The key's id")
    static let teamID = Setting("APNS_TEAM_ID", .name(1...64), help: "The team's id")
    static let topic = Setting(
        "APNS_TOPIC", .list(of: .text(1...255)),
        help: "The bundle ids of the apps that are served; the first is for devices that name none")
    static let timeout = Setting(
        "APNS_TIMEOUT", .duration(.milliseconds(100) ... .seconds(120)), default: "10s",
        help: "Without an answer for this long, a push is sent again")
    static let inFlight = Setting(
        "APNS_MAX_IN_FLIGHT", .integer(1...10_000), default: "500", help: "Pushes under way at the same time")
    static let connections = Setting(
        "APNS_MAX_CONNECTIONS", .integer(1...64), default: "2", help: "HTTP/2 connections to the provider")
    static let attempts = Setting(
        "PUSH_ATTEMPTS", .integer(1...100), default: "8",
        help: "Failures by its own fault after which a push becomes a dead letter; an outage of the provider does not count")
    static let retryBase = Setting(
        "PUSH_RETRY_BASE", .duration(.milliseconds(1) ... .seconds(60)), default: "500ms",
        help: "The first pause before a push is sent again; each further one is twice as long")
    static let retryLongest = Setting(
        "PUSH_RETRY_LONGEST", .duration(.milliseconds(1) ... .seconds(600)), default: "30s",
        help: "The longest pause before a push is sent again")
    static let batch = Setting(
        "PUSH_BATCH_RECORDS", .integer(1...10_000), default: "500", help: "Records of one lane worked on together")
    static let parked = Setting(
        "PUSH_PARKED_RECORDS", .integer(1...100_000), default: "5000",
        help: "Pushes that wait for a time of their own, held at once; the others wait in Kafka")
    static let devices = Setting(
        "DEVICES_PER_PERSON", .integer(1...1000), default: "20", help: "Devices that one person may register")

    public static let declarations =
        RedisSettings.declarations + KafkaServerSettings.declarations + TokenSettings.declarations
        + InboxLimits.markDeclarations
        + [
            url.description, sandboxURL.description, caFile.description, keyFile.description, keyID.description, teamID.description,
            topic.description, timeout.description, inFlight.description, connections.description,
            attempts.description, retryBase.description, retryLongest.description, batch.description,
            parked.description, devices.description,
        ]

    public init(_ environment: Environment) throws(SettingsError) {
        redis = try RedisSettings(environment)
        kafka = try KafkaServerSettings(environment)
        tokens = try TokenSettings(environment)
        batchRecords = try environment.value(Self.batch)
        parkedRecords = try environment.value(Self.parked)
        dedupWindow = try InboxLimits(marking: environment).dedupWindow
        devicesPerPerson = try environment.value(Self.devices)
        var retry = RetryLimits()
        retry.attempts = try environment.value(Self.attempts)
        retry.base = try environment.value(Self.retryBase)
        retry.longest = try environment.value(Self.retryLongest)
        self.retry = retry
        apns = try Self.apns(environment)
    }

    private static func apns(_ environment: Environment) throws(SettingsError) -> APNsSettings {
        let url = try environment.value(Self.url)
        let credentials = try credentials(environment)
        let place = HostPort(host: url.host, port: url.port)
        let sandbox = try environment.optional(sandboxURL).map { HostPort(host: $0.host, port: $0.port) }
        let (sandboxPlace, environments) = APNsSettings.environments(url: place, sandbox: sandbox)
        return APNsSettings(
            url: "https://\(place)", sandboxURL: "https://\(sandboxPlace)", environments: environments,
            caFile: try environment.optional(caFile),
            topics: try credentials == nil ? environment.optional(topic) ?? [] : environment.value(topic),
            timeout: try environment.value(timeout), maximumInFlight: try environment.value(inFlight),
            maximumConnections: try environment.value(connections), credentials: credentials)
    }

    /// All three, or none: a part of them is a mistake that should not wait for the first push.
    private static func credentials(_ environment: Environment) throws(SettingsError) -> APNsCredentials? {
        let file = try environment.optional(keyFile)
        let key = try environment.optional(keyID)
        let team = try environment.optional(teamID)
        if file == nil, key == nil, team == nil { return nil }
        return APNsCredentials(
            keyFile: try environment.value(keyFile), keyID: try environment.value(keyID),
            teamID: try environment.value(teamID))
    }
}
