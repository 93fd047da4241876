internal import Redis
public import Settings

/// How much an inbox keeps, and for how long it knows what it has seen.
public struct InboxLimits: SettingsGroup {
    /// Entries; the oldest go.
    public var maxEntries = 1_000
    /// ms from the append.
    public var maxAge: Int64 = 30 * 86_400_000
    /// ms; a notification that is repeated within it is known.
    public var dedupWindow: Int64 = 7 * 86_400_000
    /// Notifications of one inbox, or one channel, of which so much is known in any case; up to twice as many are.
    public var dedupMost = 100_000

    static let maxEntriesSetting = Setting(
        "INBOX_MAX_ENTRIES", .integer(1...100_000), default: "1000", help: "Notifications that an inbox keeps; the oldest go")
    static let maxAgeSetting = Setting(
        "INBOX_MAX_AGE", .duration(.seconds(1) ... .seconds(3650 * 86_400)), default: "30d",
        help: "How long an inbox keeps a notification")
    static let dedupWindowSetting = Setting(
        "DEDUP_WINDOW", .duration(.seconds(60) ... .seconds(365 * 86_400)), default: "7d",
        help: "How long a repeated event is recognised; at least the retention of the topics")

    static let dedupMostSetting = Setting(
        "DEDUP_MAX_NOTIFICATIONS", .integer(1_000...10_000_000), default: "100000",
        help: "Notifications of one person, or of one channel, of which the newest are recognised; beyond twice as many the oldest are not")

    public static let declarations = [
        maxEntriesSetting.description, maxAgeSetting.description, dedupWindowSetting.description, dedupMostSetting.description,
    ]

    public init() {}

    /// For who marks what stands in an inbox and appends nothing: all it must know is how ids are found.
    public static let markDeclarations = [dedupWindowSetting.description]

    public init(marking environment: Environment) throws(SettingsError) {
        dedupWindow = Int64(try environment.value(Self.dedupWindowSetting) / .milliseconds(1))
    }

    public init(_ environment: Environment) throws(SettingsError) {
        maxEntries = try environment.value(Self.maxEntriesSetting)
        maxAge = Int64(try environment.value(Self.maxAgeSetting) / .milliseconds(1))
        dedupWindow = Int64(try environment.value(Self.dedupWindowSetting) / .milliseconds(1))
        dedupMost = try environment.value(Self.dedupMostSetting)
    }

    /// Two arguments: for how long, and of how many at least, what was seen is known. What stands in the stream is known.
    func writeSeen(atLeast entries: Int, to writer: inout RESPWriter) {
        writer.argument(dedupWindow)
        writer.argument(Int64(max(dedupMost, entries)))
    }
}
