import Settings
import Store

/// What a client may ask for.
struct CallSettings {
    static let operationsPerMinuteSetting = Setting(
        "OPERATIONS_PER_MINUTE", .integer(10...10_000_000), default: "6000",
        help: "Commands that one connection may send in a minute; beyond it is closed with 3013")
    static let messageBytesSetting = Setting(
        "CLIENT_MESSAGE_MAX_BYTES", .size(1024...1_048_576), default: "64KB",
        help: "Largest message of a client, over all its fragments")
    static let idsSetting = Setting(
        "CALL_MAX_IDS", .integer(1...1000), default: "100", help: "Notifications that one call of a client may name")
    static let maximumWindowSetting = Setting(
        "WINDOW_MAX", .integer(1...10_000), default: "1000", help: "Largest window that a client may ask for")
    static let maximumRateSetting = Setting(
        "RATE_MAX", .integer(1...10_000), default: "1000", help: "Highest rate, a second, that a client may ask for")

    let operationsPerMinute: Int
    /// Of the largest message.
    let messageBytes: Int
    /// Notifications that one call may name.
    let ids: Int
    let maximumWindow: Int
    let maximumRate: Int
    /// Of an inbox, for a client that marks what stands in it.
    let marking: InboxLimits

    init(_ environment: Environment) throws(SettingsError) {
        operationsPerMinute = try environment.value(Self.operationsPerMinuteSetting)
        messageBytes = try environment.value(Self.messageBytesSetting)
        ids = try environment.value(Self.idsSetting)
        maximumWindow = try environment.value(Self.maximumWindowSetting)
        maximumRate = try environment.value(Self.maximumRateSetting)
        marking = try InboxLimits(marking: environment)
    }
}
