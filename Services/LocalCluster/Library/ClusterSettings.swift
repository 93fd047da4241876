public import Settings

/// Which broker the cluster runs on.
public enum BrokerChoice: Equatable, Sendable {
    /// librdkafka's mock cluster in a process of its own: nothing to install, nothing kept.
    case mock
    /// A single KRaft node of this Kafka distribution, with its data in the cluster's folder.
    case distribution(home: String)
    /// One that runs already, as `host:port,…`.
    case running(String)
}

/// What `carillon-local` reads from the environment.
public struct ClusterSettings: SettingsGroup, Equatable {
    /// How many of each service.
    public var counts: [ServiceName: Int]
    /// The edge's port; 0 takes a free one.
    public var edgePort: Int
    /// A PEM file with the edge's certificate, chain and key; nil: it speaks no TLS.
    public var edgeCertificate: String?
    /// Where it speaks TLS.
    public var edgeTLSPort: Int
    public var edge = EdgeSettings()
    public var broker: BrokerChoice
    /// Options of the Java machine for a broker of a distribution.
    public var brokerHeap: String
    /// Where data, logs and `cluster.env` lie.
    public var folder: String
    public var tokenSecret: String
    public var apiKey: String

    private static let edgePort = Setting("EDGE_PORT", .port, default: "8080", help: "Port of the edge, the one address clients need")
    private static let edgeCertificate = Setting(
        "EDGE_CERTIFICATE", .path,
        help: "PEM file with certificate, chain and key: the edge then speaks TLS and HTTP/2 too, on EDGE_TLS_PORT")
    private static let edgeTLSPort = Setting("EDGE_TLS_PORT", .port, default: "8443", help: "Port of the edge for TLS, where it speaks it")
    private static let folder = Common.localDirectory
    private static let brokers = Setting("KAFKA_BROKERS", .text, help: "A running broker to use, host:port,…")
    private static let home = Setting("KAFKA_HOME", .path, help: "A Kafka distribution to run a broker from; needs Java 17")
    private static let brokerHeap = Setting(
        "KAFKA_HEAP_OPTS", .text, default: "-Xms256m -Xmx512m", help: "Heap of the broker that is run from KAFKA_HOME")
    private static let tokenSecret = Setting(
        "TOKEN_SECRET", .text(32...1024), default: TokenSettings.demoSecret, help: "Key of the HS256 tokens that people bring",
        secret: true)
    private static let apiKey = Setting(
        "API_KEY", .text(16...1024), default: APIKeySettings.demoKey, help: "What producers send as X-API-Key", secret: true)
    private static func count(_ service: ServiceName) -> Setting<Int> {
        Setting(service.countVariable, .integer(1...16), default: "1", help: "How many of \(service.rawValue) to start")
    }

    public static let declarations =
        ServiceName.allCases.map { count($0).description }
        + [
            edgePort.description, edgeCertificate.description, edgeTLSPort.description, folder.description, brokers.description,
            home.description, brokerHeap.description,
            tokenSecret.description, apiKey.description,
        ] + EdgeSettings.declarations

    public init(_ environment: Environment) throws(SettingsError) {
        counts = [:]
        for service in ServiceName.allCases { counts[service] = try environment.value(Self.count(service)) }
        edgePort = try environment.value(Self.edgePort)
        edgeCertificate = try environment.optional(Self.edgeCertificate)
        edgeTLSPort = try environment.value(Self.edgeTLSPort)
        edge = try EdgeSettings(environment)
        folder = try environment.value(Self.folder)
        tokenSecret = try environment.value(Self.tokenSecret)
        apiKey = try environment.value(Self.apiKey)
        brokerHeap = try environment.value(Self.brokerHeap)
        if let running = try environment.optional(Self.brokers) {
            broker = .running(running)
        } else if let home = try environment.optional(Self.home) {
            broker = .distribution(home: home)
        } else {
            broker = .mock
        }
    }

    public func count(_ service: ServiceName) -> Int { counts[service] ?? 1 }
}
