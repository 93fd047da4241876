public import Redis
public import ServiceRuntime

extension DependencySource {
    /// For a Redis client's or subscriber's `onState`.
    public func report(_ state: RedisState) {
        switch state {
        case .up: up()
        case .down(let reason): down(.configured(reason))
        case .refused(let reason): unfit(.configured(reason))
        }
    }

    /// For a Redis client's `onWrites`: one that takes no writes is down to whoever writes.
    public func report(_ writes: RedisWrites) {
        switch writes {
        case .taken: up()
        case .refused(let error): down(.configured(error.description))
        }
    }
}
