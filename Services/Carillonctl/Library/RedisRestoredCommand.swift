internal import EventLoop
internal import Redis
internal import Store

let redisRestoredCommand = Command(
    "redis restored", summary: "Say that Redis was set back to an older state: no cursor of before is recovered",
    details: """
        For a Redis that was restored from a backup while all services were stopped. What a running service sees for itself it
        says for itself. Every client that comes with a position of before is told that something may be missing. Gateways
        take it over with their next renewal. Each call counts: do it once for each restore, after Redis is up and before
        the fanout-workers' group is rewound.
        """
) { invocation in
    let redis = try invocation.settings.redis()
    let loop = EventLoop(name: "carillonctl")
    loop.start()
    let generation = try await GenerationRaiser(loop: loop).raise(redis.endpoint, redis.limits, redis.keys)
    invocation.terminal.line("generation \(generation)")
    return Status.done
}

/// One command to Redis.
private actor GenerationRaiser: LoopActor {
    nonisolated let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    func raise(_ endpoint: RedisEndpoint, _ limits: RedisLimits, _ keys: Keyspace) async throws -> UInt64 {
        let client = RedisClient(loop: loop, endpoint: endpoint, limits: limits, checks: [keys.shardsCheck])
        defer { client.close() }
        let state = await withCheckedContinuation { (done: CheckedContinuation<RedisState, Never>) in
            client.onState = { state in
                client.onState = nil
                done.resume(returning: state)
            }
            client.start()
        }
        if case .down(let reason) = state { throw unfit(endpoint, reason) }
        if case .refused(let reason) = state { throw unfit(endpoint, reason) }
        let result = await withCheckedContinuation { done in
            Gateways(client, keys).raiseGeneration { done.resume(returning: $0) }
        }
        do { return try result.get() } catch { throw ControlError("Redis: \(error)") }
    }

    private func unfit(_ endpoint: RedisEndpoint, _ reason: String) -> ControlError {
        ControlError("\(endpoint.host):\(endpoint.port): \(reason)", remedy: "look at REDIS_URL, SHARDS and NAMESPACE")
    }
}
