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
            self?.onState?(StoreState(state))
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
    /// It takes no writes, as far as is known: also where that is why there is no connection.
    public var refusesWrites: Bool { client.writes != .taken }
    /// Which life of the store's data its epochs belong to now (decision 0018); 0 before the store has told one.
    public var generation: UInt64 { witness.generation }
    /// Calls that the store has not answered.
    public var callsInFlight: Int { client.inFlight }
    /// On how many shards people are spread (`SHARDS`).
    public var shards: Int { keys.shards }

    /// Which run of which server answers: another one after a restart and after a failover. Nil if it does not say so.
    public func run(reply: @escaping (String?) -> Void) { client.runID(reply) }

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
    public var tickets: Tickets { Tickets(client, keys) }

    /// The way to gateways. Batches go over this connection, and each subscription has one of its own.
    public var router: any Router { RedisRouter(client, keys) }
}

extension StoreState {
    init(_ state: RedisState) {
        switch state {
        case .up: self = .up
        case .down(let reason): self = .down(reason: reason)
        case .refused(let reason): self = .unfit(reason: reason)
        }
    }
}
