public import Settings

/// What the runtime itself reads for every service.
public struct RuntimeSettings: SettingsGroup {
    public static let drainTimeout = Setting(
        "DRAIN_TIMEOUT", .duration(.milliseconds(100) ... .seconds(600)), default: "25s",
        help: "After SIGTERM, the longest time that a service may take to finish what it holds")

    public let process: ProcessSettings
    public let drainTimeout: Duration

    public static let declarations = ProcessSettings.declarations + [drainTimeout.description]

    public init(_ environment: Environment) throws(SettingsError) {
        process = try ProcessSettings(environment)
        drainTimeout = try environment.value(Self.drainTimeout)
    }
}
