internal import Models
internal import ServiceRuntime

/// Apple's push service: a courier for each of its hosts that devices are on, so that what is wrong with one holds up nobody of the
/// other. Loop thread only.
final class APNs {
    private let context: ServiceContext<PushSettings>
    private let instruments: Instruments
    private let credentials: ProviderCredentials
    private let settings: APNsSettings
    /// By host; one that no device needs is never spoken to.
    private var couriers: [String: Courier] = [:]

    init(context: ServiceContext<PushSettings>, instruments: Instruments, credentials: ProviderCredentials) {
        self.context = context
        self.instruments = instruments
        self.credentials = credentials
        settings = context.settings.apns
    }

    /// Whether anybody is there, before the first push.
    func greet() { courier(at: settings.url).greet() }

    func run(_ errand: Errand) { courier(at: settings.url(for: errand.device)).run(errand) }

    func close() {
        for courier in couriers.values { courier.close() }
        couriers = [:]
    }

    private func courier(at url: String) -> Courier {
        if let courier = couriers[url] { return courier }
        let courier = Courier(context: context, url: url, instruments: instruments, credentials: credentials)
        couriers[url] = courier
        return courier
    }
}
