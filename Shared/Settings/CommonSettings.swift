#if canImport(Glibc)
    import Glibc
#endif

/// How much a service says.
public enum LogLevel: String, CaseIterable, Comparable, Sendable {
    case debug, info, warning, error

    public static func < (left: LogLevel, right: LogLevel) -> Bool {
        allCases.firstIndex(of: left) ?? 0 < allCases.firstIndex(of: right) ?? 0
    }
}

/// The form of a log line.
public enum LogFormat: String, CaseIterable, Sendable {
    case logfmt, json
}

/// One librdkafka property.
public struct KafkaProperty: Hashable, Sendable {
    public let name: String
    public let value: String
}

/// The declarations that more than one service reads. A variable that a single service reads is declared there.
public enum Common {
    public static let namespace = Setting(
        "NAMESPACE", .name(1...32),
        help: "Prefix of every Redis key and channel, topic, consumer group and transactional id")
    public static let instanceID = Setting(
        "INSTANCE_ID", .name(1...64),
        help: "Name of this process among those of its service, where the host name does not tell them apart")
    public static let listenAddress = Setting(
        "LISTEN_ADDRESS", .text(1...255), default: "0.0.0.0", help: "Address that PORT is bound to")
    public static let port = Setting("PORT", .port, default: "8000", help: "Port for clients and the edge")
    public static let operationsPort = Setting(
        "OPERATIONS_PORT", .port, default: "9000", help: "Port for /health and /metrics; never to be routed by the edge")
    public static let operationsAddress = Setting(
        "OPERATIONS_ADDRESS", .text(1...255), default: "127.0.0.1",
        help: "Address that OPERATIONS_PORT is bound to; 0.0.0.0 where whoever asks comes from another machine or container")
    public static let redisURL = Setting(
        "REDIS_URL", .url(["redis": 6379, "rediss": 6379]), default: "redis://127.0.0.1:6379",
        help: "Redis, as redis://[user:password@]host:port[/database]; rediss:// for TLS", secret: true)
    public static let redisAuthorities = Setting(
        "REDIS_CA_FILE", .path,
        help: "PEM file of the authorities that may sign Redis's certificate (rediss://); unset: the system's")
    public static let redisCommandTimeout = Setting(
        "REDIS_COMMAND_TIMEOUT", .duration(.milliseconds(10) ... .seconds(60)), default: "2s",
        help: "Without an answer for this long, the connection to Redis counts as lost")
    public static let redisMaxInFlight = Setting(
        "REDIS_MAX_IN_FLIGHT", .integer(100...1_000_000), default: "10000",
        help: "Commands sent to Redis and not yet answered; one more is refused, and its work waits")
    public static let redisConnectTimeout = Setting(
        "REDIS_CONNECT_TIMEOUT", .duration(.milliseconds(10) ... .seconds(60)), default: "5s",
        help: "How long each step to a connection to Redis may take: its name, the connection, its greeting")
    public static let redisMaxQueued = Setting(
        "REDIS_MAX_QUEUED", .size(1 << 10...1 << 30), default: "64MB",
        help: "Bytes of commands that Redis has not taken yet; what is over it is refused, and its work waits")
    public static let kafkaBrokers = Setting(
        "KAFKA_BROKERS", .list(of: .hostPort(defaultPort: 9092)), default: "127.0.0.1:9092",
        help: "Brokers to start from")
    public static let kafkaProperties = Setting(
        "KAFKA_PROPERTIES", .properties,
        help: "librdkafka properties (SASL, TLS) that go before the service's own defaults", secret: true)
    public static let kafkaMock = Setting(
        "KAFKA_MOCK", .boolean, default: "false",
        help: "The broker is librdkafka's mock, which drops offsets sent in a transaction; never with a real one")
    public static let shards = Setting(
        "SHARDS", .integer(1...16384), default: "64",
        help: "Number of shards that people are spread over; fixed for the life of the data")
    public static let logLevel = Setting(
        "LOG_LEVEL", .choice(LogLevel.self), default: "info", help: "Least severity that is logged")
    public static let logFormat = Setting(
        "LOG_FORMAT", .choice(LogFormat.self), default: "logfmt", help: "Form of a log line: logfmt, or one JSON object")
    public static let logAddresses = Setting(
        "LOG_ADDRESSES", .boolean, default: "false",
        help: "Write the addresses of refused clients as they are, instead of hashes that hold for one run of a process")
    public static let demo = Setting(
        "DEMO", .boolean, default: "false", help: "Take the well-known demo credentials; only for trying things out")
    public static let tokenSecret = Setting(
        "TOKEN_SECRET", .text(32...1024), help: "Key of the HS256 tokens that name no key (kid)", secret: true,
        need: .requiredUnless("JWKS_FILE"))
    public static let keyFile = Setting(
        "JWKS_FILE", .path,
        help: "JWK Set whose keys tokens name by their kid (HS256, RS256, ES256); reread when it changes")
    public static let allowedOrigins = Setting(
        "ALLOWED_ORIGINS", .list(of: .origin),
        help: "Origins of web pages that may use what is served, beside the host's own and, with DEMO=true, localhost's; unset: none")
    public static let tokenIssuer = Setting(
        "TOKEN_ISSUER", .text(1...255), help: "What a token's iss must be; unset: not checked")
    public static let tokenAudience = Setting(
        "TOKEN_AUDIENCE", .text(1...255), help: "What a token's aud must hold; unset: not checked")
    public static let localDirectory = Setting(
        "LOCAL_DIRECTORY", .path, default: ".local", help: "Where a local cluster keeps data, logs and cluster.env; one cluster at a time")
    public static let tokenMaxLifetime = Setting(
        "TOKEN_MAX_LIFETIME", .duration(.seconds(60) ... .seconds(366 * 86_400)),
        help: "Longest time that a token may be good for (default: 24h, or REVOCATION_LIFETIME if that is shorter); never longer than that")
    public static let revocationLifetime = Setting(
        "REVOCATION_LIFETIME", .duration(.seconds(60) ... .seconds(366 * 86_400)), default: "24h",
        help: "How long a revocation is remembered; at least TOKEN_MAX_LIFETIME")
    public static let apiKey = Setting(
        "API_KEY", .text(16...1024), help: "What producers send as X-API-Key", secret: true, need: .required)
    public static let apiKeyFailures = Setting(
        "API_KEY_FAILURES", .integer(1...100_000), default: "20",
        help: "Wrong API keys a minute that one address (of IPv6: one /64) may try; beyond, 429")
}

extension SettingKind where Value == [KafkaProperty] {
    /// `name=value`, separated by `;`, or by a comma before the next dotted name (a value may hold commas itself).
    public static var properties: Self {
        SettingKind(form: "librdkafka properties as name=value;name=value") { text in
            var properties: [KafkaProperty] = []
            for part in splitProperties(text) {
                let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard pair.count == 2, !trimmed(pair[0]).isEmpty else { return nil }
                properties.append(KafkaProperty(name: String(trimmed(pair[0])), value: String(trimmed(pair[1]))))
            }
            return properties
        }
    }
}

private func splitProperties(_ text: String) -> [Substring] {
    var parts: [Substring] = []
    for chunk in text.split(whereSeparator: { $0 == ";" || $0.isNewline }) where !trimmed(chunk).isEmpty {
        for piece in chunk.split(separator: ",", omittingEmptySubsequences: false) {
            let name = trimmed(piece.prefix { $0 != "=" })
            let begins = name.contains(".") && piece.contains("=") && !name.contains { $0.isWhitespace }
            if let last = parts.last, last.startIndex >= chunk.startIndex, !begins {
                parts[parts.count - 1] = text[last.startIndex..<piece.endIndex]
            } else {
                parts.append(piece)
            }
        }
    }
    return parts
}

// MARK: - Groups

/// What every service reads: who it is, where it listens, how much it says.
public struct ProcessSettings: SettingsGroup {
    public let namespace: String
    public let instanceID: String
    public let listenAddress: String
    public let port: Int
    public let operationsAddress: String
    public let operationsPort: Int
    public let logLevel: LogLevel
    public let logFormat: LogFormat
    /// Whether clients' addresses are written as they are.
    public let logsAddresses: Bool
    public let demo: Bool
    /// Each as a browser writes it in `Origin`.
    public let allowedOrigins: [String]

    public static let declarations = [
        Common.namespace.description, Common.instanceID.description, Common.listenAddress.description,
        Common.port.description, Common.operationsAddress.description, Common.operationsPort.description,
        Common.logLevel.description, Common.logFormat.description, Common.logAddresses.description,
        Common.demo.description, Common.allowedOrigins.description,
    ]

    public init(_ environment: Environment) throws(SettingsError) {
        namespace = try environment.optional(Common.namespace) ?? ""
        instanceID = try environment.optional(Common.instanceID) ?? hostName()
        listenAddress = try environment.value(Common.listenAddress)
        port = try environment.value(Common.port)
        operationsAddress = try environment.value(Common.operationsAddress)
        operationsPort = try environment.value(Common.operationsPort)
        logLevel = try environment.value(Common.logLevel)
        logFormat = try environment.value(Common.logFormat)
        logsAddresses = try environment.value(Common.logAddresses)
        demo = try environment.value(Common.demo)
        allowedOrigins = try environment.optional(Common.allowedOrigins) ?? []
    }
}

/// Where Redis is.
public struct RedisSettings: SettingsGroup {
    public let url: ServiceURL
    /// The file with the authorities to trust for `rediss://`; nil: the system's.
    public let authorities: String?
    public let commandTimeout: Duration
    public let maxInFlight: Int
    public let connectTimeout: Duration
    /// In bytes.
    public let maxQueued: Int
    public let shards: Int

    public static let declarations = [
        Common.redisURL.description, Common.redisAuthorities.description, Common.redisCommandTimeout.description,
        Common.redisMaxInFlight.description, Common.redisConnectTimeout.description, Common.redisMaxQueued.description,
        Common.shards.description,
    ]

    public init(_ environment: Environment) throws(SettingsError) {
        url = try environment.value(Common.redisURL)
        authorities = try environment.optional(Common.redisAuthorities)
        commandTimeout = try environment.value(Common.redisCommandTimeout)
        maxInFlight = try environment.value(Common.redisMaxInFlight)
        connectTimeout = try environment.value(Common.redisConnectTimeout)
        maxQueued = try environment.value(Common.redisMaxQueued)
        shards = try environment.value(Common.shards)
    }
}

/// Where Kafka is.
public struct KafkaServerSettings: SettingsGroup {
    public let brokers: [HostPort]
    public let properties: [KafkaProperty]
    public let mock: Bool

    public static let declarations = [
        Common.kafkaBrokers.description, Common.kafkaProperties.description, Common.kafkaMock.description,
    ]

    public init(_ environment: Environment) throws(SettingsError) {
        brokers = try environment.value(Common.kafkaBrokers)
        properties = try environment.optional(Common.kafkaProperties) ?? []
        mock = try environment.value(Common.kafkaMock)
    }
}

/// How people's tokens are checked: by a secret, by a file of keys, or by both. The well-known demo secret is refused
/// unless `DEMO=true`.
public struct TokenSettings: SettingsGroup {
    /// The secret of tokens that name no key.
    public let secret: String?
    /// The file with the keys of tokens that name one.
    public let keyFile: String?
    public let issuer: String?
    public let audience: String?
    /// What a token may be good for at most.
    public let maximumLifetime: Duration
    /// For how long a revocation of a token, or of all of a person's tokens, is remembered.
    public let revocationLifetime: Duration

    public static let demoSecret = "carillon-demo-token-secret-0000000"
    public static let declarations = [
        Common.tokenSecret.description, Common.keyFile.description, Common.tokenIssuer.description,
        Common.tokenAudience.description, Common.tokenMaxLifetime.description, Common.revocationLifetime.description,
        Common.demo.description,
    ]
    private static let usualLifetime = Duration.seconds(86_400)

    public init(_ environment: Environment) throws(SettingsError) {
        keyFile = try environment.optional(Common.keyFile)
        // With a file of keys no token has to be signed with a secret that services share.
        secret = try keyFile == nil ? environment.value(Common.tokenSecret) : environment.optional(Common.tokenSecret)
        issuer = try environment.optional(Common.tokenIssuer)
        audience = try environment.optional(Common.tokenAudience)
        let revocation = try environment.value(Common.revocationLifetime)
        revocationLifetime = revocation
        maximumLifetime = try environment.optional(Common.tokenMaxLifetime) ?? min(Self.usualLifetime, revocation)
        guard maximumLifetime <= revocation else {
            throw SettingsError(
                name: Common.tokenMaxLifetime.name,
                "TOKEN_MAX_LIFETIME: must not be longer than REVOCATION_LIFETIME, or a token outlives its revocation")
        }
        if let secret { try refuseWellKnown(secret, Self.demoSecret, Common.tokenSecret.name, environment) }
    }
}

/// The key that producers and operators bring. The well-known demo key is refused unless `DEMO=true`.
public struct APIKeySettings: SettingsGroup {
    public let key: String
    /// Wrong keys a minute that one address may try.
    public let failures: Int

    public static let demoKey = "carillon-demo-key"
    public static let declarations = [
        Common.apiKey.description, Common.apiKeyFailures.description, Common.demo.description,
    ]

    public init(_ environment: Environment) throws(SettingsError) {
        key = try environment.value(Common.apiKey)
        failures = try environment.value(Common.apiKeyFailures)
        try refuseWellKnown(key, Self.demoKey, Common.apiKey.name, environment)
    }
}

private func refuseWellKnown(
    _ value: String, _ wellKnown: String, _ name: String, _ environment: Environment
) throws(SettingsError) {
    guard value == wellKnown, try !environment.value(Common.demo) else { return }
    throw SettingsError(
        name: name, "\(name): holds the well-known demo value, which anyone can use; set one of your own, or DEMO=true")
}

/// The host's name, with what a name may not hold replaced.
private func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unnamed" }
    let bytes = buffer.prefix { $0 != 0 }.prefix(64).map { UInt8(bitPattern: $0) }
    let name = String(decoding: bytes, as: UTF8.self).map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") ? $0 : "-" }
    return name.isEmpty ? "unnamed" : String(name)
}
