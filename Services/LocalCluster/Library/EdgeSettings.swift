public import Settings

/// What the edge limits and whom it believes (decision 0025): read by HAProxy itself, checked here so that a mistake stops the start with words.
public struct EdgeSettings: SettingsGroup, Equatable {
    /// For the edge's process.
    public var environment: [String: String] = [:]

    private static let numbers = [
        Setting(
            "EDGE_CONNECTIONS_PER_SOURCE", .integer(1...10_000_000), default: "1000",
            help: "Connections that one address (of IPv6: one /64) holds at most; a further one is closed"),
        Setting(
            "EDGE_CONNECTS_PER_SOURCE", .integer(1...10_000_000), default: "2000",
            help: "Connections that one address opens in 10 s at most; a further one is closed"),
        Setting(
            "EDGE_REQUESTS_PER_SOURCE", .integer(1...10_000_000), default: "20000",
            help: "Requests of one address in 10 s at most; further ones are answered 429"),
    ]
    private static let sources = [
        Setting(
            "EDGE_UNLIMITED", .text, default: "127.0.0.0/8 ::1",
            help: "Addresses and networks that no limit holds for, separated by blanks"),
        Setting(
            "EDGE_PROXY_FROM", .text, help: "Balancers in front that speak the PROXY protocol: addresses and networks, separated by blanks"),
        Setting("EDGE_FORWARDED_FROM", .text, help: "Balancers in front that name the client in X-Forwarded-For, likewise"),
    ]

    public static let declarations = numbers.map(\.description) + sources.map(\.description)

    public init() {}

    public init(_ environment: Environment) throws(SettingsError) {
        for setting in Self.numbers { self.environment[setting.name] = "\(try environment.value(setting))" }
        for setting in Self.sources { self.environment[setting.name] = try environment.optional(setting) }
    }
}
