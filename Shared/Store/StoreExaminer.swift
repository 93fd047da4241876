public import EventLoop
internal import Redis
public import Settings

/// Looks at a Redis in depth, on a connection of its own. It changes nothing there.
public actor StoreExaminer: LoopActor {
    public nonisolated let loop: EventLoop
    private let endpoint: RedisEndpoint
    private let limits: RedisLimits
    private let keys: Keyspace

    /// - Parameters:
    ///   - settings: throws where `REDIS_URL` or `REDIS_CA_FILE` cannot be used.
    ///   - namespace: `NAMESPACE`; empty for none.
    public init(loop: EventLoop, settings: RedisSettings, namespace: String) throws(SettingsError) {
        self.loop = loop
        endpoint = try RedisEndpoint(settings)
        limits = RedisLimits(settings)
        keys = Keyspace(namespace: namespace, shards: settings.shards)
    }

    public func examine() async -> StoreExamination {
        StoreExamination(place: "\(endpoint.host):\(endpoint.port)", outcome: await outcome())
    }

    private func outcome() async -> StoreExamination.Outcome {
        let client = RedisClient(loop: loop, endpoint: endpoint, limits: limits)
        defer { client.close() }
        let state = await withCheckedContinuation { (done: CheckedContinuation<RedisState, Never>) in
            var waiting: CheckedContinuation<RedisState, Never>? = done
            client.onState = { state in
                waiting?.resume(returning: state)
                waiting = nil
            }
            client.start()
        }
        switch state {
        case .down(let reason): return .away(reason: reason, StoreExamination.Mistake(behind: reason))
        case .refused(let reason): return .unfit(reason: reason, StoreExamination.Mistake(behind: reason))
        case .up:
            return .answers(
                StoreExamination.Fitness(
                    durability: await durability(client), shards: await shards(client), writes: await writes(client)))
        }
    }

    private func durability(_ client: RedisClient) async -> StoreExamination.Durability {
        guard let appendOnly = await setting("appendonly", client), let sync = await setting("appendfsync", client) else {
            return .unknown
        }
        return appendOnly == "yes" && sync == "always" ? .everyWrite : .less(appendOnly: appendOnly, sync: sync)
    }

    private func setting(_ name: String, _ client: RedisClient) async -> String? {
        guard case .success(let value) = await ask(client, "CONFIG", "GET", name) else { return nil }
        return value.array?.last?.text
    }

    private func shards(_ client: RedisClient) async -> StoreExamination.Shards {
        guard case .success(let value) = await ask(client, "GET", keys.shardsKey) else { return .unreadable }
        if value.isNull { return .none(expected: keys.shards) }
        return value.integer == Int64(keys.shards) ? .same(keys.shards) : .other(value.integer, expected: keys.shards)
    }

    /// Tries a write that changes nothing: `SETRANGE` of no bytes.
    private func writes(_ client: RedisClient) async -> StoreExamination.Writes {
        guard case .failure(let error) = await ask(client, "SETRANGE", keys.shardsKey, "0", "") else { return .taken }
        guard case .server(let text) = error else { return .unanswered(reason: error.description) }
        return .refused(reason: error.description, StoreExamination.Refusal(text))
    }

    private func ask(_ client: RedisClient, _ words: String...) async -> Result<RedisValue, RedisError> {
        await withCheckedContinuation { done in
            client.send(arguments: words.count, { writer in for word in words { writer.argument(word) } }) {
                done.resume(returning: $0)
            }
        }
    }
}

extension StoreExamination.Refusal {
    /// - Parameter text: what Redis said.
    fileprivate init(_ text: String) {
        switch text.prefix(while: { $0 != " " }) {
        case "OOM": self = .memory
        case "NOREPLICAS": self = .replicas
        case "MISCONF": self = .disk
        default: self = .permission
        }
    }
}

extension StoreExamination.Mistake {
    /// What stands in the reason that a connection was not made for; the first that fits is the cause of the others.
    private static let signs: [(String, StoreExamination.Mistake)] = [
        ("noeviction", .evicts), ("certificate", .certificate), ("rediss://", .needsTLS), ("speak TLS", .needsNoTLS),
        ("WRONGPASS", .credentials), ("NOAUTH", .needsPassword), ("refuses the password", .password), ("NOPERM", .permission),
    ]

    init?(behind reason: String) {
        guard let sign = Self.signs.first(where: { reason.contains($0.0) }) else { return nil }
        self = sign.1
    }
}
