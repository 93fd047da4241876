import Lanes
public import Settings
public import Store

/// What the fanout-worker reads from the environment.
public struct FanoutSettings: SettingsGroup {
    public let redis: RedisSettings
    public let kafka: KafkaServerSettings
    public let apiKey: APIKeySettings
    public let inbox: InboxLimits
    public let channels: ChannelLimits
    public let limits: FanoutLimits

    public static let declarations =
        RedisSettings.declarations + KafkaServerSettings.declarations + APIKeySettings.declarations
        + InboxLimits.declarations + ChannelLimits.declarations + FanoutLimits.declarations

    public init(_ environment: Environment) throws(SettingsError) {
        redis = try RedisSettings(environment)
        kafka = try KafkaServerSettings(environment)
        apiKey = try APIKeySettings(environment)
        inbox = try InboxLimits(environment)
        channels = try ChannelLimits(environment)
        limits = try FanoutLimits(environment)
    }
}

/// What bounds the work on one batch.
public struct FanoutLimits: SettingsGroup {
    /// Records of one batch from Kafka.
    public var batchRecords = 4_000
    /// Calls of `deliver` under way at once, and as many of `append` for channels.
    public var callsInFlight = 1_000
    /// The same for each other priority, while high priority is under way, and for 2 s after that.
    public var callsBesideHigh = 8
    /// Bytes of notifications in these calls. One more call may go beyond it.
    public var bytesInFlight = 16 << 20
    /// Bytes of notifications in one call. The first notification does not count.
    public var callBytes = 256 << 10
    /// Bytes of one batch for a gateway. One more call may go beyond it.
    public var gatewayBatchBytes = 256 << 10
    /// So many pushes and dead letters are written together, before the end of the batch. The calls under way may add more.
    public var outputRecords = 4_000
    /// The same in bytes.
    public var outputBytes = 4 << 20
    /// Members of one page of an audience.
    public var audiencePage = 500
    /// Audiences read at once.
    public var readings = 8
    /// How often a call that fails by its own fault is made.
    public var attempts = 5

    static let batchRecordsSetting = Setting(
        "FANOUT_BATCH_RECORDS", .integer(1...100_000), default: "4000", help: "Records taken from Kafka together")
    static let callsInFlightSetting = Setting(
        "FANOUT_CALLS_IN_FLIGHT", .integer(1...9_000), default: "1000",
        help: "Deliveries to Redis under way at once, one a person; and as many posts, one a channel")
    static let callsBesideHighSetting = Setting(
        "FANOUT_CALLS_BESIDE_HIGH", .integer(1...9_000), default: "8",
        help: "Deliveries under way of each lower priority while high priority is, or was within 2 s")
    static let bytesInFlightSetting = Setting(
        "FANOUT_BYTES_IN_FLIGHT", .size(1 << 10...1 << 30), default: "16MB", help: "Bytes of notifications in deliveries under way")
    static let callBytesSetting = Setting(
        "FANOUT_CALL_BYTES", .size(1 << 10...16 << 20), default: "256KB",
        help: "Bytes of notifications that go to one person in one delivery, beside the first")
    static let gatewayBatchBytesSetting = Setting(
        "FANOUT_GATEWAY_BATCH", .size(1 << 10...4 << 20), default: "256KB", help: "Bytes of one batch for a gateway")
    static let outputRecordsSetting = Setting(
        "FANOUT_OUTPUT_RECORDS", .integer(1...100_000), default: "4000",
        help: "Pushes and dead letters that leave in one transaction before their batch has ended")
    static let outputBytesSetting = Setting(
        "FANOUT_OUTPUT_BYTES", .size(1 << 10...64 << 20), default: "4MB",
        help: "Bytes of pushes and dead letters that leave in one transaction before their batch has ended")
    static let audiencePageSetting = Setting(
        "FANOUT_AUDIENCE_PAGE", .integer(1...1_000), default: "500", help: "Members of an audience read at once")
    static let readingsSetting = Setting(
        "FANOUT_WALKS", .integer(1...100), default: "8", help: "Audiences whose members are read at once")
    static let attemptsSetting = Setting(
        "FANOUT_ATTEMPTS", .integer(1...100), default: "5",
        help: "How often a delivery that fails by its own fault is tried before its records go to the dead letters")

    public static let declarations = [
        batchRecordsSetting.description, callsInFlightSetting.description, callsBesideHighSetting.description,
        bytesInFlightSetting.description,
        callBytesSetting.description, gatewayBatchBytesSetting.description,
        outputRecordsSetting.description, outputBytesSetting.description, audiencePageSetting.description, readingsSetting.description,
        attemptsSetting.description,
    ]

    public init() {}

    public init(_ environment: Environment) throws(SettingsError) {
        batchRecords = try environment.value(Self.batchRecordsSetting)
        callsInFlight = try environment.value(Self.callsInFlightSetting)
        callsBesideHigh = try environment.value(Self.callsBesideHighSetting)
        bytesInFlight = try environment.value(Self.bytesInFlightSetting)
        callBytes = try environment.value(Self.callBytesSetting)
        gatewayBatchBytes = try environment.value(Self.gatewayBatchBytesSetting)
        outputRecords = try environment.value(Self.outputRecordsSetting)
        outputBytes = try environment.value(Self.outputBytesSetting)
        audiencePage = try environment.value(Self.audiencePageSetting)
        readings = try environment.value(Self.readingsSetting)
        attempts = try environment.value(Self.attemptsSetting)
    }
}

extension FanoutLimits {
    /// Calls of `deliver`.
    var people: LaneBounds {
        LaneBounds(
            calls: callsInFlight, bytes: bytesInFlight, callRecords: Inbox.maximumDeliveries, callBytes: callBytes,
            attempts: attempts)
    }

    /// Calls of `append` for channels.
    var posts: LaneBounds {
        LaneBounds(
            calls: callsInFlight, bytes: bytesInFlight, callRecords: ChannelStreams.maximumItems, callBytes: callBytes,
            attempts: attempts)
    }
}
