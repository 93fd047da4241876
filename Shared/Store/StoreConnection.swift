public import EventLoop
internal import Models
internal import Redis
public import Settings

/// How the store is.
public enum StoreState: Equatable, Sendable {
    case up
    /// It answers and takes no writes; reads go on.
    case refusesWrites(StoreError)
    /// It does not answer. It is tried again, soon.
    case down(reason: String)
    /// It answers, and must not be used as it is: a wrong password, data of another `SHARDS`, a policy that evicts. Only a
    /// person can mend that. It is tried again, slowly.
    case unfit(reason: String)
}

/// A service's one way to its store. It connects by itself, looks whether the store is fit before anything else is sent, and
/// hands out what is stored there. Loop thread only.
public final class StoreConnection {
    /// Called once for each change. To be set before `start`.
    public var onState: ((StoreState) -> Void)?

    private let client: RedisClient
    private let keys: Keyspace
    private let witness = Witness()

    /// - Parameters:
    ///   - settings: throws where `REDIS_URL` or `REDIS_CA_FILE` cannot be used.
    ///   - namespace: `NAMESPACE`; empty for none.
    public init(loop: EventLoop, settings: RedisSettings, namespace: String) throws(SettingsError) {
        keys = Keyspace(namespace: namespace, shards: settings.shards)
        client = RedisClient(
            loop: loop, endpoint: try RedisEndpoint(settings), limits: RedisLimits(settings), scripts: StoreScripts.all,
            checks: [keys.shardsCheck, witness.check(keys)], writable: keys.shardsKey)
    }

    public func start() {
        client.onState = { [weak self] state in
            switch state {
            case .up: self?.onState?(.up)
            case .down(let reason): self?.onState?(.down(reason: reason))
            case .refused(let reason): self?.onState?(.unfit(reason: reason))
            }
        }
        client.onWrites = { [weak self] writes in
            switch writes {
            case .taken: self?.onState?(.up)
            case .refused(let error): self?.onState?(.refusesWrites(StoreError(error)))
            }
        }
        client.start()
    }

    /// Ends the connection and all attempts; what is in flight fails as an outage. `onState` is not called for it.
    public func close() { client.close() }

    /// It answers and is fit. Whether it takes writes is another matter.
    public var isUp: Bool { client.isUp }
    /// Calls that the store has not answered.
    public var callsInFlight: Int { client.inFlight }
    /// On how many shards people are spread (`SHARDS`).
    public var shards: Int { keys.shards }

    // MARK: What is stored

    public func inbox(_ limits: InboxLimits) -> Inbox { Inbox(client, keys, limits: limits, witness: witness) }

    public func channels(_ limits: ChannelLimits, inbox: InboxLimits) -> ChannelStreams {
        ChannelStreams(client, keys, limits: limits, inbox: inbox, witness: witness)
    }

    public func devices(window: Int64) -> Devices { Devices(client, keys, window: window) }

    public var routes: Routes { Routes(client, keys, witness: witness) }
    public var gateways: Gateways { Gateways(client, keys, witness: witness) }
    public var audiences: Audiences { Audiences(client, keys) }
    public var revocations: Revocations { Revocations(client, keys) }
}
