public import EventLoop
internal import HTTP
internal import Kafka
internal import Models
internal import ServiceKafka
public import ServiceRuntime
internal import ServiceStore
internal import Settings
internal import Store
internal import Tokens

/// Owns people's device tokens and sends what stands in `push.*` to APNs.
public actor PushService: Service {
    public typealias Settings = PushSettings

    public static let name = "push-service"
    public static let summary = "Registers people's devices and sends notifications to them through Apple's push service."

    public nonisolated let loop: EventLoop
    private let context: ServiceContext<PushSettings>
    private let credentials: ProviderCredentials?
    private var store: StoreConnection?
    private var server: HTTPServer?
    private let furtherProviders: [any PushProvider]
    private var providers: PushProviders?
    private var lanes: [Lane] = []

    public init(context: ServiceContext<PushSettings>) throws {
        loop = context.loop
        self.context = context
        credentials = try PushService.credentials(context.settings.apns)
        furtherProviders = []
    }

    /// A service that sends to other providers beside APNs: what the tests of the border run.
    init(
        context: ServiceContext<PushSettings>, beside further: (ServiceContext<PushSettings>) -> [any PushProvider]
    ) throws {
        loop = context.loop
        self.context = context
        credentials = try PushService.credentials(context.settings.apns)
        furtherProviders = further(context)
    }

    private static func credentials(_ apns: APNsSettings) throws(SettingsError) -> ProviderCredentials? {
        guard let credentials = apns.credentials else { return nil }
        do {
            return try ProviderCredentials(credentials)
        } catch {
            throw SettingsError(
                name: PushSettings.keyFile.name, "\(PushSettings.keyFile.name): \(credentials.keyFile): \(error.description)")
        }
    }

    public func start() async throws {
        let settings = context.settings
        let store = try StoreConnection(loop: loop, settings: settings.redis, namespace: context.process.namespace)
        self.store = store
        context.bringUp(store, onUp: { for lane in self.lanes { lane.wake() } })
        let devices = store.devices(window: settings.dedupWindow)
        let instruments = Instruments(context.metrics)
        let providers = PushProviders(apns() + furtherProviders, context: context, instruments: instruments)
        self.providers = providers
        providers.greet()
        try startLanes(store, devices, providers, instruments)
        try serve(devices, store.revocations)
    }

    private func apns() -> [any PushProvider] {
        guard let credentials else {
            context.log.warning("there are no credentials for APNs: each push becomes a dead letter", ["setting": .text("APNS_KEY_FILE")])
            return []
        }
        return [
            APNs(
                loop: loop, settings: context.settings.apns, credentials: credentials, log: context.log, metrics: context.metrics)
        ]
    }

    /// Each priority has a pipeline of its own, so that no flood of one stands before the other, and so has what is parked for each
    /// provider.
    private func startLanes(
        _ store: StoreConnection, _ devices: Devices, _ providers: PushProviders, _ instruments: Instruments
    ) throws {
        let topics = Topics(namespace: context.process.namespace)
        let post = Lane.Post(
            topics: topics, instruments: instruments,
            refused: RefusedOutputs(deadLetters: topics.pushDeadLetters, log: context.log, metrics: context.metrics),
            log: context.log, isStoreUp: { store.isUp }, standings: DeviceStandings())
        let parked = [ProviderName.apns] + furtherProviders.map(\.name)
        let named: [(LaneName, String, ProviderName?)] =
            Priority.allCases.map { (.of($0), Topics().push($0), nil) }
            + parked.map { (.parked(of: $0), Topics().pushRetries(of: $0), $0) }
        for (name, topic, provider) in named {
            var kafka = KafkaSettings(context.settings.kafka, process: context.process)
            // Several members of the group in one process: a transactional id is one producer's alone.
            kafka.instanceID += "-\(name.rawValue)"
            let records = provider == nil ? context.settings.batchRecords : context.settings.parkedRecords
            let pipeline = try RecordPipeline(
                loop: loop, settings: kafka, service: Self.name, topics: [topic], limits: PipelineLimits(records: records))
            context.watch(pipeline, lane: name)
            let lane = Lane(
                loop: loop, pipeline: pipeline, devices: devices, providers: providers, parkedOf: provider, post: post)
            try lane.start()
            lanes.append(lane)
        }
    }

    private func serve(_ devices: Devices, _ revocations: Revocations) throws {
        let router = RESTRouter(context, tokens: try Credentials(context, context.settings.tokens))
        router.standing = { revocations.standing(of: $0, $1) }
        let settings = context.settings
        DeviceRoutes(devices, apns: settings.apns, limit: settings.devicesPerPerson, log: context.log).add(to: router)
        let server = try context.serve()
        server.onRequest = { router.handle($0, $1) }
        self.server = server
    }

    public func drain() async {
        let lanes = lanes
        let server = server
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            var left = lanes.count + 1
            let ended = {
                left -= 1
                if left == 0 { done.resume() }
            }
            for lane in lanes { lane.stop(ended) }
            if let server { server.drain(ended) } else { ended() }
        }
        providers?.close()
        store?.close()
    }
}

/// What a lane is called in the log and in its transactional id.
private enum LaneName: String, MetricLabel {
    case high, normal, low, parked
    case parkedForFCM = "parked_fcm"

    static func of(_ priority: Priority) -> LaneName {
        switch priority {
        case .high: .high
        case .normal: .normal
        case .low: .low
        }
    }

    static func parked(of provider: ProviderName) -> LaneName {
        switch provider {
        case .apns: .parked
        case .fcm: .parkedForFCM
        }
    }
}

extension Topics {
    /// Pushes of one provider that wait for a time of their own, or for the provider.
    func pushRetries(of provider: ProviderName) -> String { pushRetries(of: provider.rawValue) }
}
