internal import EventLoop
internal import Settings
internal import Store

/// Where the store is, and under which names things stand there.
struct StorePlace: Sendable {
    let settings: RedisSettings
    /// Empty for none.
    let namespace: String

    func examiner(on loop: EventLoop) throws(ControlError) -> StoreExaminer {
        do {
            return try StoreExaminer(loop: loop, settings: settings, namespace: namespace)
        } catch { throw ControlError(error.description, status: Status.configuration) }
    }

    /// Connects, and answers as soon as the store can be used. Throws what is wrong where it cannot. To be called on the loop.
    func open(on loop: EventLoop) async throws(ControlError) -> StoreConnection {
        let store: StoreConnection
        do {
            store = try StoreConnection(loop: loop, settings: settings, namespace: namespace)
        } catch { throw ControlError(error.description, status: Status.configuration) }
        let state = await withCheckedContinuation { (done: CheckedContinuation<StoreState, Never>) in
            store.onState = { state in
                store.onState = nil
                done.resume(returning: state)
            }
            store.start()
        }
        switch state {
        case .up, .refusesWrites: return store
        case .down(let reason), .unfit(let reason):
            store.close()
            throw ControlError(
                "\(settings.url.host):\(settings.url.port): \(reason)", remedy: "look at REDIS_URL, SHARDS and NAMESPACE")
        }
    }
}

/// One call of the store. Throws why it has no answer.
func ask<Value: Sendable>(
    _ send: (@escaping (Result<Value, StoreError>) -> Void) -> Void
) async throws(ControlError) -> Value {
    let result = await withCheckedContinuation { done in send { done.resume(returning: $0) } }
    do { return try result.get() } catch { throw ControlError("Redis: \(error)") }
}
