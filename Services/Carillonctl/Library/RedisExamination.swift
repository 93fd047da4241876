internal import EventLoop
internal import Redis
internal import Store

/// Asks a Redis whether it is fit to hold what was accepted.
actor RedisExamination: LoopActor {
    nonisolated let loop: EventLoop
    private let endpoint: RedisEndpoint
    private let limits: RedisLimits
    private let keys: Keyspace

    init(loop: EventLoop, _ endpoint: RedisEndpoint, _ limits: RedisLimits, _ keys: Keyspace) {
        self.loop = loop
        self.endpoint = endpoint
        self.limits = limits
        self.keys = keys
    }

    func findings() async -> [Finding] {
        let client = RedisClient(loop: loop, endpoint: endpoint, limits: limits)
        let place = "\(endpoint.host):\(endpoint.port)"
        let state = await withCheckedContinuation { (done: CheckedContinuation<RedisState, Never>) in
            var waiting: CheckedContinuation<RedisState, Never>? = done
            client.onState = { state in
                waiting?.resume(returning: state)
                waiting = nil
            }
            client.start()
        }
        defer { client.close() }
        switch state {
        case .down(let reason): return [.fail("redis", "\(place): \(reason)", "start it, or set REDIS_URL")]
        case .refused(let reason):
            let remedy =
                reason.contains("noeviction")
                ? "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration file"
                : "mend that in Redis or in REDIS_URL"
            return [.fail("redis", "\(place) is not fit: \(reason)", remedy)]
        case .up: break
        }
        var findings = [Finding.ok("redis", "\(place) answers"), .ok("redis eviction", "noeviction")]
        findings.append(persistence(await setting("appendonly", client), await setting("appendfsync", client)))
        findings.append(shards(await ask(client, "GET", keys.shardsKey)))
        return findings
    }

    private func ask(_ client: RedisClient, _ words: String...) async -> Result<RedisValue, RedisError> {
        await withCheckedContinuation { done in
            client.send(arguments: words.count, { writer in for word in words { writer.argument(word) } }) {
                done.resume(returning: $0)
            }
        }
    }

    private func setting(_ name: String, _ client: RedisClient) async -> String? {
        guard case .success(let value) = await ask(client, "CONFIG", "GET", name) else { return nil }
        return value.array?.last?.text
    }

    private func persistence(_ appendOnly: String?, _ sync: String?) -> Finding {
        let name = "redis persistence"
        guard let appendOnly, let sync else {
            return .fail(name, "it does not answer CONFIG GET", "see there that appendonly is yes and appendfsync always")
        }
        if appendOnly == "yes", sync == "always" { return .ok(name, "appendonly yes, appendfsync always") }
        return .fail(
            name, "appendonly \(appendOnly), appendfsync \(sync): a crash loses what was acknowledged",
            "redis-cli CONFIG SET appendonly yes; CONFIG SET appendfsync always; and the same in its configuration file")
    }

    private func shards(_ answer: Result<RedisValue, RedisError>) -> Finding {
        let name = "redis shards"
        guard case .success(let value) = answer else { return .fail(name, "the key shards cannot be read", "look at its ACL") }
        if value.isNull { return .ok(name, "\(keys.shards), nothing is stored yet") }
        if value.integer == Int64(keys.shards) { return .ok(name, "\(keys.shards)") }
        return .fail(
            name, "the data was written with \(value.integer.map(String.init) ?? "no number"), and SHARDS is \(keys.shards)",
            "set SHARDS to what the data was written with")
    }
}
