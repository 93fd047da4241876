import ServiceRuntime
import Settings

/// How many loops there are, and what each does at its own pace.
struct LoopSettings {
    static let countSetting = Setting(
        "GATEWAY_LOOPS", .integer(1...64), default: "1",
        help: "Event loops, each on a thread of its own with a listener, a lease and Redis connections of its own")
    static let leaseIntervalSetting = Setting(
        "LEASE_INTERVAL", .duration(.milliseconds(100) ... .seconds(60)), default: "1s",
        help: "How often a gateway advances its lease; well below LEASE_LENGTH")
    static let reconcileWindowSetting = Setting(
        "RECONCILE_WINDOW", .integer(1...10_000), default: "64",
        help: "Sessions compared with their inboxes at the same time after a suspected loss")
    static let drainWindowSetting = Setting(
        "DRAIN_WINDOW", .duration(.zero ... .seconds(600)), default: "20s",
        help: "Over how long a draining gateway spreads its clients' leaving; cut to DRAIN_TIMEOUT less 5s")

    let count: Int
    let leaseInterval: Duration
    /// Sessions that are compared at the same time.
    let reconcileWindow: Int
    let drainWindow: Duration

    init(_ environment: Environment) throws(SettingsError) {
        count = try environment.value(Self.countSetting)
        leaseInterval = try environment.value(Self.leaseIntervalSetting)
        reconcileWindow = try environment.value(Self.reconcileWindowSetting)
        let drainTimeout = try environment.value(RuntimeSettings.drainTimeout)
        drainWindow = min(try environment.value(Self.drainWindowSetting), max(.zero, drainTimeout - .seconds(5)))
    }
}
