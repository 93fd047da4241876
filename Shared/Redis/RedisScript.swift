/// A Lua script, called by its digest (`EVALSHA`). A client loads those it was given each time it connects.
public struct RedisScript: Sendable {
    /// For error descriptions.
    public let name: String
    public let source: String
    /// How many of the arguments are keys; they come first.
    public let keys: Int
    /// `EVALSHA <sha> <keys>` in RESP's form.
    let call: [UInt8]
    let digest: [UInt8]

    public init(_ name: String, keys: Int, _ source: String) {
        self.name = name
        self.source = source
        self.keys = keys
        digest = sha1Hex(source)
        let count = String(keys)
        call = Array("$7\r\nEVALSHA\r\n$40\r\n".utf8) + digest + Array("\r\n$\(count.utf8.count)\r\n\(count)\r\n".utf8)
    }
}

/// A question that Redis must answer rightly before a client counts as up: once for each connection.
public struct RedisCheck: Sendable {
    let command: @Sendable () -> [String]
    let verdict: @Sendable (Result<RedisValue, RedisError>) -> String?
    /// Made and asked when this one has been answered.
    let followUps: [RedisCheck]

    /// - Parameters:
    ///   - command: made for each connection.
    ///   - followUps: checks whose commands depend on the answer to this one; they are made when it is there.
    public init(
        asking command: @escaping @Sendable () -> [String],
        verdict: @escaping @Sendable (Result<RedisValue, RedisError>) -> String?, then followUps: [RedisCheck] = []
    ) {
        self.command = command
        self.verdict = verdict
        self.followUps = followUps
    }

    /// - Parameter verdict: `nil` if the answer will do, otherwise in one line why it will not.
    public init(_ command: String..., verdict: @escaping @Sendable (Result<RedisValue, RedisError>) -> String?) {
        self.init(asking: { command }, verdict: verdict)
    }

    /// Redis must keep what it was given: no eviction.
    static let evictionPolicy = RedisCheck("INFO", "memory") { result in
        guard case .success(let value) = result, let text = value.text else {
            return "Redis does not say its eviction policy (INFO memory)"
        }
        let name = "maxmemory_policy:"
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) }
        let policy = line?.dropFirst(name.count) ?? "unknown"
        return policy == "noeviction"
            ? nil : "Redis evicts (maxmemory-policy \(policy)): set maxmemory-policy noeviction"
    }
}

/// Whether Redis can be used.
public enum RedisState: Equatable, Sendable {
    case up
    /// Out of reach, with the reason for a log line; it is tried again.
    case down(reason: String)
    /// In reach and unfit (wrong password, wrong eviction policy, other data); it is tried again, slowly.
    case refused(reason: String)
}
