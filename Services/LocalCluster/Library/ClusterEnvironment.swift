/// What scripts need to know of a running cluster, as lines that a shell can source.
public struct ClusterEnvironment: Equatable, Sendable {
    public struct Service: Equatable, Sendable {
        public var name: ServiceName
        /// In instance order; one that is being started again is missing.
        public var pids: [Int32]
        /// Base URLs of the operations ports, in instance order.
        public var operations: [String]

        public init(name: ServiceName, pids: [Int32], operations: [String]) {
            self.name = name
            self.pids = pids
            self.operations = operations
        }
    }

    public var edgeURL = ""
    public var gatewayURLs: [String] = []
    public var kafkaBrokers = ""
    public var redisURL = ""
    public var tokenSecret = ""
    public var apiKey = ""
    public var apnsURL = ""
    public var apnsCAFile = ""
    public var apnsReceivedURL = ""
    public var services: [Service] = []
    public var redisPID: Int32?
    /// `nil` where the broker is not this cluster's own.
    public var kafkaPID: Int32?
    public var kafkaMock = false

    public init() {}

    /// Name and value, in the order they are written.
    public var pairs: [(name: String, value: String)] {
        var pairs = [
            ("EDGE_URL", edgeURL), ("GATEWAY_URLS", gatewayURLs.joined(separator: " ")), ("KAFKA_BROKERS", kafkaBrokers),
            ("KAFKA_MOCK", kafkaMock ? "true" : "false"), ("REDIS_URL", redisURL), ("TOKEN_SECRET", tokenSecret), ("API_KEY", apiKey),
            ("APNS_URL", apnsURL), ("APNS_CA_FILE", apnsCAFile), ("APNS_RECEIVED_URL", apnsReceivedURL),
        ]
        for service in services {
            pairs.append(("\(service.name.variable)_PIDS", service.pids.map(String.init).joined(separator: " ")))
            pairs.append(("OPERATIONS_\(service.name.variable)", service.operations.joined(separator: " ")))
        }
        pairs.append(("REDIS_PID", redisPID.map(String.init) ?? ""))
        pairs.append(("KAFKA_PID", kafkaPID.map(String.init) ?? ""))
        return pairs.map { (name: $0.0, value: $0.1) }
    }

    /// `NAME='value'` lines.
    public var text: String {
        pairs.map { "\($0.name)=\(Self.quoted($0.value))\n" }.joined()
    }

    /// A shell's single-quoted word.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    /// Reads `NAME=value` lines as `text` and Python's shlex.quote write them; what is no such line is passed over.
    static func read(_ text: String) -> [String: String] {
        var values: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let equals = line.firstIndex(of: "=") else { continue }
            var value = ""
            var isQuoted = false
            var rest = line[line.index(after: equals)...]
            while let character = rest.popFirst() {
                switch character {
                case "'": isQuoted.toggle()
                case "\\" where !isQuoted: value.append(rest.popFirst() ?? "\\")
                default: value.append(character)
                }
            }
            values[String(line[..<equals])] = value
        }
        return values
    }
}
