import EventLoop
import ServiceRuntime
import Settings

/// Faults that a test asks a gateway to make. Refused unless `FAULTS=allowed`, so that none can slip into a deployment.
struct FaultSettings: SettingsGroup {
    static let allowedSetting = Setting(
        "FAULTS", SettingKind(form: "allowed") { $0 == "allowed" ? true : nil },
        help: "For tests only: without it every FAULT_ variable is refused")
    static let dropSetting = Setting(
        "FAULT_DROP_BATCHES", .integer(1...100),
        help: "For tests only: of 100 batches that Redis publishes for this gateway, how many it does not hear")
    static let delaySetting = Setting(
        "FAULT_DELAY_BATCHES", .integer(1...100),
        help: "For tests only: of 100 batches that it hears, how many it hears FAULT_DELAY too late")
    static let delayTimeSetting = Setting(
        "FAULT_DELAY", .duration(.milliseconds(1) ... .seconds(60)), default: "3s",
        help: "For tests only: how late a delayed batch is heard")

    let dropPercent: Int
    let delayPercent: Int
    let delay: Duration

    static let declarations = [
        allowedSetting.description, dropSetting.description, delaySetting.description, delayTimeSetting.description,
    ]

    init(_ environment: Environment) throws(SettingsError) {
        let drop = try environment.optional(Self.dropSetting)
        let delayed = try environment.optional(Self.delaySetting)
        if try environment.optional(Self.allowedSetting) == nil, drop != nil || delayed != nil {
            let name = drop != nil ? Self.dropSetting.name : Self.delaySetting.name
            throw SettingsError(name: name, "\(name): makes faults on purpose, and is refused unless FAULTS=allowed")
        }
        dropPercent = drop ?? 0
        delayPercent = delayed ?? 0
        delay = try environment.value(Self.delayTimeSetting)
    }
}

/// Draws what becomes of each batch. Pure but for its dice.
struct BatchFaults {
    enum Fate {
        case heard, dropped
        case delayed(Duration)
    }

    private let settings: FaultSettings

    /// Nil where no fault was asked for.
    init?(_ settings: FaultSettings) {
        guard settings.dropPercent > 0 || settings.delayPercent > 0 else { return nil }
        self.settings = settings
    }

    func next() -> Fate {
        if Int.random(in: 0..<100) < settings.dropPercent { return .dropped }
        return Int.random(in: 0..<100) < settings.delayPercent ? .delayed(settings.delay) : .heard
    }
}

extension Hub {
    /// One message of this gateway's channel, on its way through the faults that a test asked for.
    func arrived(_ message: [UInt8]) {
        guard let faults else { return heard(message) }
        switch faults.next() {
        case .heard: heard(message)
        case .dropped: break
        case .delayed(let delay): loop.timer(after: delay) { [weak self] in self?.heard(message) }
        }
    }

    func warnOfFaults() {
        if faults != nil { log.warning("batches are dropped or delayed on purpose (FAULT_ variables)") }
    }
}
