public import Settings

/// Where Kafka is, how to speak to it, and what its names begin with here.
public struct KafkaSettings: Sendable {
    /// `host:port`, separated by commas.
    public var brokers: String
    /// librdkafka properties of the operator (SASL, TLS). They replace the defaults of this module.
    public var properties: [KafkaProperty]
    /// The broker is librdkafka's mock. It drops offsets sent in a transaction, so they are committed plainly as well. Never
    /// true for a real broker.
    public var isMock: Bool
    /// Prefix of topics, groups and transactional ids; empty for none.
    public var namespace: String
    /// No two instances of one service have the same.
    public var instanceID: String

    public init(
        brokers: String, properties: [KafkaProperty] = [], isMock: Bool = false, namespace: String = "",
        instanceID: String
    ) {
        self.brokers = brokers
        self.properties = properties
        self.isMock = isMock
        self.namespace = namespace
        self.instanceID = instanceID
    }

    public init(_ server: KafkaServerSettings, process: ProcessSettings) {
        self.init(
            brokers: server.brokers.map(\.description).joined(separator: ","), properties: server.properties,
            isMock: server.mock, namespace: process.namespace, instanceID: process.instanceID)
    }

    private var prefix: String { namespace.isEmpty ? "" : namespace + "." }

    /// The full name of a topic: `events.social` → `ns.events.social`.
    public func topic(_ name: String) -> String { prefix + name }

    /// The name without the namespace, or `nil` if the topic belongs to another one.
    public func name(ofTopic topic: String) -> String? {
        topic.hasPrefix(prefix) ? String(topic.dropFirst(prefix.count)) : nil
    }

    /// `carillon-<service>`, with the namespace.
    public func group(ofService service: String) -> String { "\(prefix)carillon-\(service)" }

    /// `carillon-<service>-<INSTANCE_ID>`, with the namespace.
    public func transactionalID(ofService service: String) -> String { "\(prefix)carillon-\(service)-\(instanceID)" }

    /// A subscription's topic: a plain name, or a regular expression that begins with `^` and then names what follows the
    /// namespace.
    func subscription(_ topic: String) -> String {
        guard topic.hasPrefix("^") else { return self.topic(topic) }
        let literal = prefix.map { $0 == "." ? "\\." : String($0) }.joined()
        return "^" + literal + topic.dropFirst()
    }
}
