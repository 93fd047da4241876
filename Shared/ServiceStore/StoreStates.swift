public import ServiceRuntime
public import Store

extension DependencySource {
    /// For the `onState` of a store, or of a subscription to batches. A store that takes no writes is down to whoever writes.
    public func report(_ state: StoreState) {
        switch state {
        case .up: up()
        case .refusesWrites(let error): down(.error(error))
        case .down(let reason): down(.configured(reason))
        case .unfit(let reason): unfit(.configured(reason))
        }
    }
}
