internal import Store

/// What answers have shown of devices, for all lanes. Loop thread only.
final class DeviceStandings {
    enum Verdict: Equatable {
        case send
        case quarantined
        /// Its app has another topic than the ones we send to.
        case setAside
        /// ms since 1970; nothing for it before.
        case resting(until: Int64)
    }

    private var quarantine = Quarantine()
    private var aside = SetAside()

    func verdict(on device: Device, now: Int64) -> Verdict {
        guard quarantine.verdict(on: device.token, registeredAt: device.registeredAt, now: now) == .send else { return .quarantined }
        return switch aside.verdict(on: device.token, registeredAt: device.registeredAt, now: now) {
        case .send: .send
        case .skip: .setAside
        case .park(let until): .resting(until: until)
        }
    }

    func isGood(_ token: String) { quarantine.isGood(token) }

    /// The provider called it bad. True if it had its time and is to be deleted.
    func isBad(_ token: String, now: Int64) -> Bool { quarantine.isBad(token, now: now) }

    func rest(_ token: String, until: Int64) { aside.rest(token, until: until) }

    func hasWrongTopic(_ token: String, now: Int64) { aside.hasWrongTopic(token, now: now) }
}
