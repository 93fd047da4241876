public import Settings

/// How much history a channel keeps, and for how long it knows what it has seen.
public struct ChannelLimits: SettingsGroup {
    /// Entries at most. The oldest go.
    public var maxEntries = 1_000
    /// How long an entry stays, in ms from its append. A channel without a post for that long is removed. Its watchers begin again.
    public var maxAge: Int64 = 7 * 86_400_000

    static let maxEntriesSetting = Setting(
        "CHANNEL_MAX_ENTRIES", .integer(1...100_000), default: "1000", help: "Posts that a channel's history keeps; the oldest go")
    static let maxAgeSetting = Setting(
        "CHANNEL_MAX_AGE", .duration(.seconds(1) ... .seconds(3650 * 86_400)), default: "7d",
        help: "How long a channel's history keeps a post; a channel without a post for that long is forgotten")

    public static let declarations = [maxEntriesSetting.description, maxAgeSetting.description]

    public init() {}

    public init(_ environment: Environment) throws(SettingsError) {
        maxEntries = try environment.value(Self.maxEntriesSetting)
        maxAge = Int64(try environment.value(Self.maxAgeSetting) / .milliseconds(1))
    }
}
