internal import Store

/// What an examination of the store comes to: one finding for a store that cannot be used, else one for each thing looked at.
func storeFindings(_ examination: StoreExamination) -> [Finding] {
    let place = examination.place
    switch examination.outcome {
    case .away(let reason, let mistake):
        return [.fail("redis", "\(place): \(reason)", mistake?.remedy ?? "start it, or set REDIS_URL")]
    case .unfit(let reason, let mistake):
        return [.fail("redis", "\(place) is not fit: \(reason)", mistake?.remedy ?? "mend that in Redis or in REDIS_URL")]
    case .answers(let fitness):
        return [
            .ok("redis", "\(place) answers"), .ok("redis eviction", "noeviction"), fitness.durability.finding,
            fitness.shards.finding, fitness.writes.finding,
        ]
    }
}

extension StoreExamination.Mistake {
    /// What to do about it.
    fileprivate var remedy: String {
        switch self {
        case .evicts: "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration file"
        case .certificate: "set REDIS_CA_FILE to the PEM file of who signed it, and name the host as the certificate does"
        case .needsTLS: "write rediss:// in REDIS_URL"
        case .needsNoTLS: "write redis:// in REDIS_URL, or the port that speaks TLS"
        case .credentials: "mend user and password in REDIS_URL"
        case .needsPassword: "write the password into REDIS_URL: redis://user:password@host:port"
        case .password: "mend the password in REDIS_URL, or leave it out"
        case .permission: "let the user do that: docs/operations.md has the ACL"
        }
    }
}

extension StoreExamination.Durability {
    fileprivate var finding: Finding {
        let name = "redis persistence"
        switch self {
        case .everyWrite: return .ok(name, "appendonly yes, appendfsync always")
        case .less(let appendOnly, let sync):
            return .fail(
                name, "appendonly \(appendOnly), appendfsync \(sync): a crash loses what was acknowledged",
                "redis-cli CONFIG SET appendonly yes; CONFIG SET appendfsync always; and the same in its configuration file")
        case .unknown:
            return .fail(name, "it does not answer CONFIG GET", "see there that appendonly is yes and appendfsync always")
        }
    }
}

extension StoreExamination.Shards {
    fileprivate var finding: Finding {
        let name = "redis shards"
        switch self {
        case .same(let number): return .ok(name, "\(number)")
        case .none(let expected): return .ok(name, "\(expected), nothing is stored yet")
        case .other(let stored, let expected):
            return .fail(
                name, "the data was written with \(stored.map(String.init) ?? "no number"), and SHARDS is \(expected)",
                "set SHARDS to what the data was written with")
        case .unreadable: return .fail(name, "the key shards cannot be read", "look at its ACL")
        }
    }
}

extension StoreExamination.Writes {
    fileprivate var finding: Finding {
        let name = "redis writes"
        switch self {
        case .taken: return .ok(name, "are taken")
        case .refused(let reason, let refusal): return .fail(name, reason, refusal.remedy)
        case .unanswered(let reason): return .fail(name, reason, "look at Redis")
        }
    }
}

extension StoreExamination.Refusal {
    fileprivate var remedy: String {
        switch self {
        case .memory: "raise maxmemory (redis-cli CONFIG SET maxmemory …, and in its configuration file), or give the machine more"
        case .replicas: "bring its replicas back, or lower min-replicas-to-write"
        case .disk: "look at its disk and at its log"
        case .permission: "let the user do that: docs/operations.md has the ACL"
        }
    }
}
