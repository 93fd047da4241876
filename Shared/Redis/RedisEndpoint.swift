public import Network
public import Settings

/// Where a Redis is, and as whom to speak to it.
public struct RedisEndpoint: Sendable {
    public let host: String
    public let port: Int
    public let user: String?
    public let password: String?
    /// The number for `SELECT`; 0 selects nothing.
    public let database: Int
    /// Present where TLS is spoken; the certificate must then name `host`.
    public let tls: TLSContext?

    public init(
        host: String, port: Int, user: String? = nil, password: String? = nil, database: Int = 0, tls: TLSContext? = nil
    ) {
        self.host = host
        self.port = port
        self.user = user
        self.password = password
        self.database = database
        self.tls = tls
    }

    /// Reads `REDIS_URL` and `REDIS_CA_FILE`.
    public init(_ settings: RedisSettings) throws(SettingsError) {
        try self.init(settings.url, authorities: settings.authorities)
    }

    /// Reads `redis://[user:password@]host[:port][/database]`, or `rediss://…` for TLS.
    /// Throws one line that names the variable and holds no secret.
    /// - Parameter authorities: a PEM file of those who may sign the server's certificate; nil: the system's.
    public init(_ url: ServiceURL, authorities: String? = nil) throws(SettingsError) {
        let path = url.path.drop { $0 == "/" }
        guard let database = path.isEmpty ? 0 : Int(path), (0...65_535).contains(database) else {
            throw SettingsError(name: "REDIS_URL", "REDIS_URL: what stands after the host must be the number of a database")
        }
        var tls: TLSContext?
        if url.scheme == "rediss" {
            do {
                tls = try TLSContext(clientTrusting: authorities)
            } catch {
                throw SettingsError(name: "REDIS_CA_FILE", "REDIS_CA_FILE: \(error)")
            }
        }
        self.init(
            host: url.host, port: url.port, user: url.user, password: url.password, database: database, tls: tls)
    }
}

/// What bounds a client of Redis.
public struct RedisLimits: Sendable {
    /// A command without a reply for this long ends the connection.
    public var commandTimeout = Duration.seconds(2)
    /// For name, connection and handshake steps each.
    public var connectTimeout = Duration.seconds(5)
    /// Commands sent and not yet answered; one more fails as `overloaded`.
    public var maxInFlight = 10_000
    /// Bytes of commands that the kernel did not take; from there on commands fail as `overloaded`.
    public var maxQueuedBytes = 64 << 20
    /// The longest pause between two attempts to connect; the first is a twentieth of it, each is jittered.
    public var reconnectLimit = Duration.seconds(1)
    /// A connection that was quiet for this long is asked whether it lives; nil: never by itself.
    public var idlePing: Duration? = .seconds(2)

    public init() {}

    public init(_ settings: RedisSettings) {
        commandTimeout = settings.commandTimeout
        maxInFlight = settings.maxInFlight
        connectTimeout = settings.connectTimeout
        maxQueuedBytes = settings.maxQueued
    }
}
