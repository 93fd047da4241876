internal import Models
internal import ServiceRuntime
internal import Store

/// The providers that this service sends to, each with a courier for each of its destinations. Loop thread only.
final class PushProviders {
    private struct Served {
        let provider: any PushProvider
        /// By destination; one that no device needs is never spoken to.
        var couriers: [String: Courier] = [:]
    }

    private let context: ServiceContext<PushSettings>
    private let instruments: Instruments
    private var served: [Served]

    /// - Parameter providers: at most one of each name. Empty: no credentials were given, and nothing can be sent.
    init(_ providers: [any PushProvider], context: ServiceContext<PushSettings>, instruments: Instruments) {
        self.context = context
        self.instruments = instruments
        served = providers.map { Served(provider: $0) }
    }

    var isEmpty: Bool { served.isEmpty }

    /// Whether the device's provider is among them.
    func serves(_ device: Device) -> Bool { index(of: device) != nil }

    /// Whether anybody is there, before the first push.
    func greet() {
        for index in served.indices { courier(of: index, at: served[index].provider.firstDestination).greet() }
    }

    func run(_ errand: Errand) {
        guard let index = index(of: errand.device) else {
            return errand.completion(.gaveUp(DeadLetter(.noCredentials, "the device's provider is not served"), attempts: 0))
        }
        courier(of: index, at: served[index].provider.destination(of: errand.device)).run(errand)
    }

    func close() {
        for one in served {
            for courier in one.couriers.values { courier.close() }
            one.provider.close()
        }
        served = []
    }

    private func index(of device: Device) -> Int? {
        guard let name = ProviderName(of: device) else { return nil }
        return served.firstIndex { $0.provider.name == name }
    }

    private func courier(of index: Int, at destination: String) -> Courier {
        if let courier = served[index].couriers[destination] { return courier }
        let provider = served[index].provider
        let courier = Courier(
            loop: context.loop, provider: provider, destination: destination, limits: context.settings.retry,
            hasOthersBeside: served.count > 1, instruments: instruments, log: context.log,
            dependency: context.dependencies.source(provider.name.dependency))
        served[index].couriers[destination] = courier
        return courier
    }
}
