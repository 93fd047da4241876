internal import CRDKafka
internal import Settings

/// The properties of one librdkafka client, in the order they are set: the last of a name holds.
/// What is set here and why stands in the comments; docs: CONFIGURATION.md of librdkafka 2.0.2.
struct ClientProperties {
    private(set) var values: [(name: String, value: String)] = []

    mutating func set(_ name: String, _ value: String) { values.append((name, value)) }
    mutating func set(_ name: String, _ value: Int) { values.append((name, String(value))) }

    /// What every client shares.
    init(_ settings: KafkaSettings) {
        set("bootstrap.servers", settings.brokers)
        set("client.id", "carillon")
        set("socket.nagle.disable", "true")
        set("socket.keepalive.enable", "true")
        // A broker that is stopped, not gone, shows only by its silence: 60 s by default.
        set("socket.timeout.ms", 6_000)
        set("socket.connection.setup.timeout.ms", 5_000)
        // A broker that is back must be found within a second, not within 10.
        set("reconnect.backoff.ms", 100)
        set("reconnect.backoff.max.ms", 1_000)
        // A new topic is read within 10 s: beside this, the group forms again, and a machine may be slow.
        set("topic.metadata.refresh.interval.ms", 3_000)
    }

    /// `transaction.timeout.ms`: how long the broker lets a transaction be open.
    var transactionTime: UInt64 {
        values.last { $0.name == Self.transactionTimeName }.flatMap { UInt64($0.value) } ?? Self.defaultTransactionTime
    }

    private static let transactionTimeName = "transaction.timeout.ms"
    // Readers of committed records stall behind an open transaction for this long at most.
    private static let defaultTransactionTime: UInt64 = 15_000

    /// The operator's own go last, so they win.
    mutating func append(_ operatorProperties: [KafkaProperty]) {
        for property in operatorProperties { set(property.name, property.value) }
    }

    /// A member of a group, that commits nothing by itself.
    static func consumer(_ settings: KafkaSettings, group: String, excluding: [String], creates: Bool) -> ClientProperties {
        var properties = ClientProperties(settings)
        properties.set("group.id", group)
        properties.set("auto.offset.reset", "earliest")
        properties.set("enable.auto.commit", "false")
        properties.set("enable.auto.offset.store", "false")
        properties.set("isolation.level", "read_committed")
        // Not cooperative-sticky: in 2.0.2 it replays without a callback, and can loop.
        properties.set("partition.assignment.strategy", "roundrobin")
        // Tells where a partition ends for readers of committed records: behind marks that a lag must not count.
        properties.set("enable.partition.eof", "true")
        properties.set("session.timeout.ms", 6_000)
        properties.set("heartbeat.interval.ms", 2_000)
        // For each topic, since each has a queue of its own (`TopicQueues`): enough for the second that 2.0.2 pauses a full one.
        properties.set("queued.max.messages.kbytes", queuedKilobytes)
        if settings.isMock {
            // The mock does not end a waiting fetch when a record comes: each hop would take this long, 500 ms by default.
            properties.set("fetch.wait.max.ms", 10)
            // It forgets a member that waits to join for longer than the session's time-out, as when its machine stands still, and
            // does not answer it. A member gives up a join after this time and 3 s, and joins again: after five minutes by default.
            properties.set("max.poll.interval.ms", 10_000)
        }
        // A topic that is named and not there yet is made, as the Java client does; a pattern cannot make one.
        properties.set("allow.auto.create.topics", creates ? "true" : "false")
        if !excluding.isEmpty { properties.set("topic.blacklist", excluding.joined(separator: ",")) }
        properties.append(settings.properties)
        return properties
    }

    /// A reader without a group, for an operator's eyes.
    static func inspector(_ settings: KafkaSettings) -> ClientProperties {
        var properties = ClientProperties(settings)
        properties.set("group.id", settings.group(ofService: "inspection"))
        properties.set("enable.auto.commit", "false")
        properties.set("enable.partition.eof", "true")
        properties.set("isolation.level", "read_committed")
        properties.set("auto.offset.reset", "earliest")
        properties.append(settings.properties)
        return properties
    }

    private static func producer(_ settings: KafkaSettings) -> ClientProperties {
        var properties = ClientProperties(settings)
        properties.set("enable.idempotence", "true")
        properties.set("linger.ms", 0)
        // As the Java client places keys, so that everyone's records of one key meet in one partition.
        properties.set("partitioner", "murmur2_random")
        properties.set("message.max.bytes", maximumRecordBytes)
        // A broker refuses a whole message set for one record in it: a large one shall stand alone.
        properties.set("batch.size", 256 << 10)
        return properties
    }

    /// A producer without transactions. A record that is not acknowledged within `deliveryTimeout` ms counts as not written.
    static func idempotent(_ settings: KafkaSettings, deliveryTimeout: Int) -> ClientProperties {
        var properties = producer(settings)
        properties.set("message.timeout.ms", deliveryTimeout)
        // A topic that does not come to be by then does not exist: its records are told so, rather than that time is over.
        properties.set("topic.metadata.propagation.max.ms", min(5_000, deliveryTimeout / 2))
        properties.append(settings.properties)
        return properties
    }

    static func transactional(_ settings: KafkaSettings, id: String) -> ClientProperties {
        var properties = producer(settings)
        properties.set("transactional.id", id)
        // A copy of what a transaction writes; when it is full, the writer waits.
        properties.set("queue.buffering.max.kbytes", bufferedKilobytes)
        properties.set(transactionTimeName, Int(defaultTransactionTime))
        // After a commit AddOffsetsToTxn often answers CONCURRENT_TRANSACTIONS, and this is how long it then waits.
        properties.set("retry.backoff.ms", 1)
        properties.append(settings.properties)
        return properties
    }

    /// What librdkafka fetches ahead of a topic; one fetch more may pass it.
    static let queuedKilobytes = 16_384
    /// What waits in a transactional producer.
    static let bufferedKilobytes = 8_192

    /// What one record may take, headers included. A topic has a limit of its own, a broker's default is 1 MB.
    static let maximumRecordBytes = 1_000_000
}
