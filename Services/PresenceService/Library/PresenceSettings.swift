public import Settings

/// What the presence-service reads from the environment.
public struct PresenceSettings: SettingsGroup {
    static let leaseLength = Setting(
        "LEASE_LENGTH", .duration(.milliseconds(600) ... .seconds(600)), default: "6s",
        help: "A gateway whose lease was seen to stand still for this long is dead; several times LEASE_INTERVAL")
    static let maxUsers = Setting(
        "PRESENCE_MAX_USERS", .integer(1...10_000), default: "500", help: "Users that one call of /v1/presence may ask for")

    let redis: RedisSettings
    let apiKey: APIKeySettings
    let leaseLength: Duration
    let maxUsers: Int

    public static let declarations =
        RedisSettings.declarations + APIKeySettings.declarations + [leaseLength.description, maxUsers.description]

    public init(_ environment: Environment) throws(SettingsError) {
        redis = try RedisSettings(environment)
        apiKey = try APIKeySettings(environment)
        leaseLength = try environment.value(Self.leaseLength)
        maxUsers = try environment.value(Self.maxUsers)
    }
}
