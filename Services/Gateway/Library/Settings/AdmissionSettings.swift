import EventLoop
import Network
import ServiceRuntime
import Settings

/// How many clients may come, and when those are to come back that may not.
struct AdmissionSettings {
    static let maxConnectionsSetting = Setting(
        "MAX_CONNECTIONS", .integer(1...10_000_000),
        help: "Connections at most; further ones are asked to come back later (default: the descriptor limit less 256)")
    static let maxPerPersonSetting = Setting(
        "MAX_CONNECTIONS_PER_PERSON", .integer(1...1_000_000), default: "100",
        help: "Sessions of one person at most; further ones are asked to come back later")
    static let maxPerAddressSetting = Setting(
        "MAX_CONNECTIONS_PER_ADDRESS", .integer(1...10_000_000), default: "1000",
        help: "Connections from one address (of IPv6: from one /64) at most; TRUSTED_PROXIES have no limit")
    static let rateSetting = Setting(
        "ADMISSION_RATE", .integer(10...1_000_000), default: "2000",
        help: "New WebSocket and SSE sessions in any second at most; the others are asked to come back, spread over time")
    static let retryDelaySetting = Setting(
        "RETRY_DELAY", .duration(.milliseconds(100) ... .seconds(60)), default: "2s",
        help: "After how long, with jitter, a client is asked to come back that cannot be served now")

    /// Nil: as many as there are descriptors for.
    let maxConnections: Int?
    let maxPerPerson: Int
    let maxPerAddress: Int
    let trustedProxies: [AddressRange]
    /// New sessions a second.
    let rate: Int
    let retryDelay: Duration

    init(_ environment: Environment) throws(SettingsError) {
        maxConnections = try environment.optional(Self.maxConnectionsSetting)
        maxPerPerson = try environment.value(Self.maxPerPersonSetting)
        maxPerAddress = try environment.value(Self.maxPerAddressSetting)
        trustedProxies = try environment.value(RuntimeSettings.trustedProxies)
        rate = try environment.value(Self.rateSetting)
        retryDelay = try environment.value(Self.retryDelaySetting)
    }

    /// After how long a client is asked to come back, in ms: between one and two times RETRY_DELAY.
    func jitteredRetry() -> UInt64 {
        let base = retryDelay.wholeMilliseconds
        return base + UInt64.random(in: 0...base)
    }
}
