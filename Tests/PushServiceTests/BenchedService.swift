import EventLoop
import Models
import ServiceRuntime
import Settings
import Store

@testable import PushService

/// The push-service, with a scripted provider beside APNs where a test has set `script`.
actor BenchedService: Service {
    typealias Settings = PushSettings

    static let name = PushService.name
    static let summary = PushService.summary

    /// What the second provider answers; `nil`: there is none.
    @TaskLocal static var script: Script?

    nonisolated let loop: EventLoop
    private let service: PushService
    /// For devices that the service's own form does not take.
    private let store: StoreConnection

    init(context: ServiceContext<PushSettings>) throws {
        loop = context.loop
        let script = Self.script
        service = try PushService(context: context) { context in
            script.map { [ScriptedProvider(loop: context.loop, script: $0)] } ?? []
        }
        store = try StoreConnection(loop: loop, settings: context.settings.redis, namespace: context.process.namespace)
    }

    func start() async throws {
        store.start()
        try await service.start()
    }

    func drain() async {
        await service.drain()
        store.close()
    }

    /// False while the store does not answer.
    func register(_ device: Device, _ person: PersonID) async -> Bool {
        let devices = store.devices(window: 600_000)
        return await withCheckedContinuation { (done: CheckedContinuation<Bool, Never>) in
            devices.put(device, of: person, limit: 20) { result in
                if case .success = result { done.resume(returning: true) } else { done.resume(returning: false) }
            }
        }
    }
}
