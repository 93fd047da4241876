public import Network
public import Settings

/// What the runtime itself reads for every service.
public struct RuntimeSettings: SettingsGroup {
    public static let drainTimeout = Setting(
        "DRAIN_TIMEOUT", .duration(.milliseconds(100) ... .seconds(600)), default: "25s",
        help: "After SIGTERM, the longest time that a service may take to finish what it holds")

    public static let trustedProxies = Setting(
        "TRUSTED_PROXIES", .addressRanges, default: "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7",
        help: "Whose X-Forwarded-For is believed; the last address in it that is not one of these is the client's")

    public let process: ProcessSettings
    public let drainTimeout: Duration
    public let trustedProxies: [AddressRange]

    public static let declarations = ProcessSettings.declarations + [drainTimeout.description, trustedProxies.description]

    public init(_ environment: Environment) throws(SettingsError) {
        process = try ProcessSettings(environment)
        drainTimeout = try environment.value(Self.drainTimeout)
        trustedProxies = try environment.value(Self.trustedProxies)
    }
}
