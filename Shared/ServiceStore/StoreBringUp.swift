public import ServiceRuntime
public import Store

extension ServiceContext {
    /// Brings a store up, and tells `/health/ready`, `carillon_dependency_up` and the log how it is. Once for each store, on
    /// the loop.
    ///
    /// A store that is unfit ends no service (decision 0028): the service says why in one line at the level of an error, and
    /// goes on when somebody has mended the store.
    /// - Parameters:
    ///   - onUp: called each time the store can be written to from now on.
    ///   - onAway: called each time it cannot.
    public func bringUp(_ store: StoreConnection, onUp: @escaping () -> Void = {}, onAway: @escaping () -> Void = {}) {
        let source = dependencies.source(.redis)
        store.onState = { state in
            source.report(state)
            if state == .up { onUp() } else { onAway() }
        }
        store.start()
    }
}

/// Of the server's own text only the first word is told, for the rest may quote arguments.
extension StoreError: LogReason {
    public var logText: String { description }
}
