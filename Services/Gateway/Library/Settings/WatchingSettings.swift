import Settings
import Store

/// Channels, and who watches them.
struct WatchingSettings {
    static let maxSubscriptionsSetting = Setting(
        "MAX_SUBSCRIPTIONS", .integer(0...1_000), default: "64", help: "Channels that one connection watches, at most")
    static let presenceMaxSetting = Setting(
        "CHANNEL_PRESENCE_MAX", .integer(0...10_000), default: "1000",
        help: "Watchers of a channel up to which they are named, and told of each other's coming and going")
    static let presenceBytesSetting = Setting(
        "CHANNEL_PRESENCE_MAX_BYTES", .size(1024...16_777_216), default: "1MB",
        help: "Largest answer that names the watchers of a channel; it lies in memory until its client has read it")

    /// Of one connection.
    let maxSubscriptions: Int
    let presenceMax: Int
    let presenceBytes: Int
    let channels: ChannelLimits

    init(_ environment: Environment) throws(SettingsError) {
        maxSubscriptions = try environment.value(Self.maxSubscriptionsSetting)
        presenceMax = try environment.value(Self.presenceMaxSetting)
        presenceBytes = try environment.value(Self.presenceBytesSetting)
        channels = try ChannelLimits(environment)
    }
}
