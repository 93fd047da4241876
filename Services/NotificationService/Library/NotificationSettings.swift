public import Settings

/// What the notification-service reads from the environment.
public struct NotificationSettings: SettingsGroup {
    public let kafka: KafkaServerSettings
    public let apiKey: APIKeySettings
    public let limits: EventLimits
    /// The file that `policies` was read from.
    public let policiesFile: String

    static let policiesFileSetting = Setting(
        "POLICIES", .text(1...4_096), default: "deploy/policies.yaml",
        help: "The policies of all types; checked whole at the start")

    public static let declarations =
        KafkaServerSettings.declarations + APIKeySettings.declarations + EventLimits.declarations
        + [policiesFileSetting.description]

    public init(_ environment: Environment) throws(SettingsError) {
        kafka = try KafkaServerSettings(environment)
        apiKey = try APIKeySettings(environment)
        limits = try EventLimits(environment)
        policiesFile = try environment.value(Self.policiesFileSetting)
    }
}

/// What an event may be.
public struct EventLimits: SettingsGroup {
    /// Bytes of one event's record.
    public var eventBytes = 256 << 10
    /// Bytes that one event may become, in records for the people whom it names, keys and headers included.
    public var expandedBytes = 16 << 20
    /// ms within which `source` and `id` are known to be one event.
    public var dedupWindow: Int64 = 7 * 86_400_000
    /// Records taken from Kafka together.
    public var batchRecords = 4_000
    /// Records that one transaction writes, and their bytes; a single event may pass both, and is then written in several.
    public var transactionRecords = 4_000
    public var transactionBytes = 4 << 20
    /// The same in records, while high priority is under way, and for 2 s after that.
    public var transactionRecordsBesideHigh = 1_000
    /// How long an event of `POST /v1/events` may wait for Kafka.
    public var acknowledgement: Duration = .seconds(10)
    /// Events of `POST /v1/events` that wait for Kafka at once.
    public var awaiting = 10_000

    static let eventBytesSetting = Setting(
        "EVENT_MAX_BYTES", .size(1 << 10...900 << 10), default: "256KB", help: "Bytes of one event; a larger one is a dead letter")
    static let expandedBytesSetting = Setting(
        "EVENT_MAX_EXPANSION", .size(1 << 20...64 << 20), default: "16MB",
        help: "Bytes of all records that one event becomes for the people it names; more is a dead letter")
    static let dedupWindowSetting = Setting(
        "DEDUP_WINDOW", .duration(.seconds(60) ... .seconds(365 * 86_400)), default: "7d",
        help: "How long a repeated event is recognised; at least the retention of the topics")
    static let batchRecordsSetting = Setting(
        "EVENT_BATCH_RECORDS", .integer(1...100_000), default: "4000", help: "Events taken from Kafka together")
    static let transactionRecordsSetting = Setting(
        "EVENT_TRANSACTION_RECORDS", .integer(1...100_000), default: "4000",
        help: "Records that one transaction writes; the events whose records are more wait for the next one")
    static let transactionBytesSetting = Setting(
        "EVENT_TRANSACTION_BYTES", .size(64 << 10...64 << 20), default: "4MB",
        help: "Bytes that one transaction writes; halved by itself while Kafka does not take them in time")
    static let transactionRecordsBesideHighSetting = Setting(
        "EVENT_TRANSACTION_BESIDE_HIGH", .integer(1...100_000), default: "1000",
        help: "Records that one transaction writes while high priority is under way, or was within 2 s")
    static let acknowledgementSetting = Setting(
        "EVENT_ACK_TIMEOUT", .duration(.milliseconds(100) ... .seconds(60)), default: "10s",
        help: "How long an event of POST /v1/events may wait for Kafka; then, or where Kafka is known to be away, it is answered 503")
    static let awaitingSetting = Setting(
        "EVENT_MAX_AWAITING", .integer(1...1_000_000), default: "10000",
        help: "Events of POST /v1/events that wait for Kafka at once; further ones are answered 503")

    public static let declarations = [
        eventBytesSetting.description, expandedBytesSetting.description, dedupWindowSetting.description,
        batchRecordsSetting.description, transactionRecordsSetting.description, transactionBytesSetting.description,
        transactionRecordsBesideHighSetting.description, acknowledgementSetting.description, awaitingSetting.description,
    ]

    public init() {}

    public init(_ environment: Environment) throws(SettingsError) {
        eventBytes = try environment.value(Self.eventBytesSetting)
        expandedBytes = try environment.value(Self.expandedBytesSetting)
        dedupWindow = Int64(try environment.value(Self.dedupWindowSetting) / .milliseconds(1))
        batchRecords = try environment.value(Self.batchRecordsSetting)
        transactionRecords = try environment.value(Self.transactionRecordsSetting)
        transactionBytes = try environment.value(Self.transactionBytesSetting)
        transactionRecordsBesideHigh = try environment.value(Self.transactionRecordsBesideHighSetting)
        acknowledgement = try environment.value(Self.acknowledgementSetting)
        awaiting = try environment.value(Self.awaitingSetting)
    }
}
