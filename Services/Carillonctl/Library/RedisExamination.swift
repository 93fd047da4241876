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
        case .down(let reason): return [.fail("redis", "\(place): \(reason)", remedy(reason) ?? "start it, or set REDIS_URL")]
        case .refused(let reason):
            return [.fail("redis", "\(place) is not fit: \(reason)", remedy(reason) ?? "mend that in Redis or in REDIS_URL")]
        case .up: break
        }
        var findings = [Finding.ok("redis", "\(place) answers"), .ok("redis eviction", "noeviction")]
        findings.append(persistence(await setting("appendonly", client), await setting("appendfsync", client)))
        findings.append(shards(await ask(client, "GET", keys.shardsKey)))
        findings.append(await writes(client))
        return findings
    }

    /// What to do about a reason that a connection was not made for.
    private func remedy(_ reason: String) -> String? {
        let remedies = [
            ("noeviction", "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration file"),
            ("certificate", "set REDIS_CA_FILE to the PEM file of who signed it, and name the host as the certificate does"),
            ("rediss://", "write rediss:// in REDIS_URL"),
            ("speak TLS", "write redis:// in REDIS_URL, or the port that speaks TLS"),
            ("WRONGPASS", "mend user and password in REDIS_URL"),
            ("NOAUTH", "write the password into REDIS_URL: redis://user:password@host:port"),
            ("refuses the password", "mend the password in REDIS_URL, or leave it out"),
            ("NOPERM", "let the user do that: docs/operations.md has the ACL"),
        ]
        return remedies.first { reason.contains($0.0) }?.1
    }

    /// A write that changes nothing: `SETRANGE` of no bytes.
    private func writes(_ client: RedisClient) async -> Finding {
        let name = "redis writes"
        guard case .failure(let error) = await ask(client, "SETRANGE", keys.shardsKey, "0", "") else { return .ok(name, "are taken") }
        guard case .server(let text) = error else { return .fail(name, error.description, "look at Redis") }
        let remedy =
            switch text.prefix(while: { $0 != " " }) {
            case "OOM": "raise maxmemory (redis-cli CONFIG SET maxmemory …, and in its configuration file), or give the machine more"
            case "NOREPLICAS": "bring its replicas back, or lower min-replicas-to-write"
            case "MISCONF": "look at its disk and at its log"
            default: "let the user do that: docs/operations.md has the ACL"
            }
        return .fail(name, error.description, remedy)
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
