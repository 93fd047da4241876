public import Models

/// Who is connected where: routes, leases and watchers, and the sweeps that remove what a dead gateway leaves.
///
/// Whoever implements the three parts promises what stands at each to all services; `RegistryContract` in the tests holds an
/// implementation to it. One value serves one loop: it is called there, and calls back there, never within the call.
///
/// - Order holds for each key and not between keys. The keys are a person (her routes), an instance (its lease; the note of
///   the channels that it watches) and a channel (its watchers). Calls of one process for one key take effect in the order
///   in which they were sent; replies for different keys come in any order.
/// - A call that succeeded is seen by every call that is sent afterwards for the same key, by whatever process.
/// - A call may be repeated after any error. Where one call writes under two keys it says so, in which order it writes,
///   and who removes what a crash leaves between.
/// - Every removal names what it removes, instance and epoch included, and does nothing where that is not there
///   (law "Compare before you remove").
public typealias Registry = RouteRegistry & LeaseRegistry & WatcherRegistry

/// Which connections a person holds.
public protocol RouteRegistry {
    /// Sets a connection's route, and the note by which a sweep of its instance finds it, in one step. May be repeated, also
    /// for a route that stands.
    /// - Parameter device: the connection's own text where it has none.
    func add(
        _ connection: ConnectionID, of person: PersonID, device: String, transport: Transport,
        reply: @escaping (Result<Void, StoreError>) -> Void)

    /// The person's connections at this moment, in no order, each as in `Delivered`.
    func routes(of person: PersonID, reply: @escaping (Result<[[UInt8]], StoreError>) -> Void)

    /// Removes the connection's route, if it stands. Answers how many the person has left.
    func unregister(_ connection: ConnectionID, of person: PersonID, reply: @escaping (Result<Int, StoreError>) -> Void)

    /// How many connections each person holds, in the order asked. The first error fails it all.
    func connections(of people: [PersonID], reply: @escaping (Result<[Int], StoreError>) -> Void)

    /// Removes up to `limit` routes that one instance holds on one shard. Answers how many; to be repeated until that is 0.
    /// Harmless when several do it at once.
    func sweep(_ instance: InstanceID, shard: Int, limit: Int, reply: @escaping (Result<Int, StoreError>) -> Void)
}

/// Gateways' leases: counters that advance.
public protocol LeaseRegistry {
    /// Begins an instance's lease at 0, then its numbering of batches at 0. What a crash leaves between the two is a lease that
    /// stands still, and is swept.
    func enrol(_ instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void)

    /// Advances the lease, and reads the number of the latest batch for the instance. A condemned lease, or one that is
    /// not there, is `gone` for good, and stays as it is.
    func renew(_ instance: InstanceID, reply: @escaping (Result<Renewal, StoreError>) -> Void)

    /// All leases.
    func leases(reply: @escaping (Result<[Lease], StoreError>) -> Void)

    /// All leases, if the store takes writes; else an error: what stands still while it takes none stands still for that reason.
    func look(reply: @escaping (Result<[Lease], StoreError>) -> Void)

    /// Condemns an instance whose counter still stands at `count`. Answers whether it is condemned, or gone, now. One
    /// step: a renewal comes wholly before it, and then it answers false, or finds the lease gone.
    func condemn(_ instance: InstanceID, ifCountIs count: UInt64, reply: @escaping (Result<Bool, StoreError>) -> Void)

    /// Ends an instance: its numbering, then its lease. What a crash leaves between the two is a lease, and is swept.
    func withdraw(_ instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void)
}

/// Which connections watch a channel. An instance says of its own how many there are; the total is the sum of what they said.
public protocol WatcherRegistry {
    /// Notes that these connections of one instance watch the channel, and how many do now; and for the instance, that there is
    /// something to sweep at the channel. Two keys, in any order: an answered call stands in both.
    /// - Parameters:
    ///   - newcomers: at most `ChannelStreams.maximumItems`.
    ///   - count: the newcomers among them.
    func watch(
        _ channel: ChannelID, at instance: InstanceID, _ newcomers: [Watcher], count: WatcherCount,
        reply: @escaping (Result<Crowd, StoreError>) -> Void)

    /// Notes that these connections of one instance watch the channel no more, and how many still do.
    func unwatch(
        _ channel: ChannelID, at instance: InstanceID, _ connections: [ConnectionID], count: WatcherCount,
        reply: @escaping (Result<Crowd, StoreError>) -> Void)

    /// Who watches the channel; names them only if there are at most `limit`.
    func presence(of channel: ChannelID, limit: Int, reply: @escaping (Result<ChannelWatchers, StoreError>) -> Void)

    /// Takes a channel that an instance watches no more from the note of what to sweep.
    func forget(_ channel: ChannelID, at instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void)

    /// Removes the whole note of what to sweep: an instance that has left in order.
    func forgetAll(at instance: InstanceID, reply: @escaping (Result<Void, StoreError>) -> Void)

    /// Removes watchers that a dead instance left, at most `limit` of a channel: a step, to be repeated until it answers
    /// nothing. Harmless when several do it at once.
    func sweep(_ instance: InstanceID, limit: Int, reply: @escaping (Result<[SweptWatchers], StoreError>) -> Void)

    /// Removes all watchers of one channel that an instance left which is gone for good, and the note of the channel.
    func clean(_ channel: ChannelID, of instance: InstanceID, limit: Int, reply: @escaping (Result<Void, StoreError>) -> Void)
}
