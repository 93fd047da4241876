import EventLoop
import Redis
import ServiceRuntime
import Settings
import Store

/// One loop's connection to Redis, and what stands there, by its kind.
struct GatewayStores {
    let redis: RedisClient
    let endpoint: RedisEndpoint
    let keyspace: Keyspace
    /// What was seen of Redis; it knows an older state when one comes back.
    let witness = Witness()
    let inbox: Inbox
    let routes: Routes
    let gateways: Gateways
    let tickets: Tickets
    let revocations: Revocations
    let channels: ChannelStreams

    init(_ context: ServiceContext<GatewaySettings>) throws {
        let settings = context.settings
        keyspace = Keyspace(namespace: context.process.namespace, shards: settings.redis.shards)
        endpoint = try RedisEndpoint(settings.redis)
        redis = RedisClient(
            loop: context.loop, endpoint: endpoint, limits: RedisLimits(settings.redis), scripts: StoreScripts.all,
            checks: [keyspace.shardsCheck, witness.check(keyspace)], writable: keyspace.shardsKey)
        inbox = Inbox(redis, keyspace, limits: settings.marking, witness: witness)
        routes = Routes(redis, keyspace, witness: witness)
        gateways = Gateways(redis, keyspace, witness: witness)
        tickets = Tickets(redis, keyspace)
        revocations = Revocations(redis, keyspace)
        channels = ChannelStreams(redis, keyspace, limits: settings.channels, witness: witness)
    }

    /// Ends the connection; what is in flight fails.
    func close() { redis.close() }
}
