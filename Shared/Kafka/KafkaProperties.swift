internal import CRDKafka
internal import Settings

/// The properties of one librdkafka client, in the order in which they are set. The last of a name counts.
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
        // A broker that is stopped, and not gone, shows only by its silence. The default is 60 s.
        set("socket.timeout.ms", 6_000)
        set("socket.connection.setup.timeout.ms", 5_000)
        // A broker that is back must be found within a second. The default is 10 s.
        set("reconnect.backoff.ms", 100)
        set("reconnect.backoff.max.ms", 1_000)
        // A new topic is to be read within 10 s. The group also has to form again in that time, and a machine may be slow.
        set("topic.metadata.refresh.interval.ms", 3_000)
    }

    /// `transaction.timeout.ms`: how long the broker lets a transaction be open.
    var transactionTime: UInt64 {
        values.last { $0.name == Self.transactionTimeName }.flatMap { UInt64($0.value) } ?? Self.defaultTransactionTime
    }

    private static let transactionTimeName = "transaction.timeout.ms"
    // Readers of committed records wait behind an open transaction for this long at most.
    private static let defaultTransactionTime: UInt64 = 15_000

    /// Adds the operator's own properties. They come last, so they win.
    mutating func append(_ operatorProperties: [KafkaProperty]) {
        for property in operatorProperties { set(property.name, property.value) }
    }

    /// A member of a group. librdkafka commits nothing by itself.
    static func consumer(_ settings: KafkaSettings, group: String, excluding: [String], creates: Bool) -> ClientProperties {
        var properties = ClientProperties(settings)
        properties.set("group.id", group)
        properties.set("auto.offset.reset", "earliest")
        properties.set("enable.auto.commit", "false")
        properties.set("enable.auto.offset.store", "false")
        properties.set("isolation.level", "read_committed")
        // Not cooperative-sticky: librdkafka 2.0.2 then repeats rebalances without a callback, and can loop.
        properties.set("partition.assignment.strategy", "roundrobin")
        // Says where a partition ends for readers of committed records. The markers of transactions before it must not count as
        // lag.
        properties.set("enable.partition.eof", "true")
        properties.set("session.timeout.ms", 6_000)
        properties.set("heartbeat.interval.ms", 2_000)
        // Counts for each topic, because each has a queue of its own (`TopicQueues`). It must last for a second: librdkafka
        // 2.0.2 pauses a full queue for that long.
        properties.set("queued.max.messages.kbytes", queuedKilobytes)
        if settings.isMock {
            // The mock does not end a waiting fetch when a record comes. Each hop would take this long, which is 500 ms by default.
            properties.set("fetch.wait.max.ms", 10)
            // The mock forgets a member that waits to join for longer than the session's time-out, for example when its machine
            // stands still, and does not answer it. A member gives up a join after this time and 3 s, and joins again. The default
            // is five minutes.
            properties.set("max.poll.interval.ms", 10_000)
        }
        // The broker makes a topic that is named and does not exist yet, as for the Java client. A pattern cannot make a topic.
        properties.set("allow.auto.create.topics", creates ? "true" : "false")
        if !excluding.isEmpty { properties.set("topic.blacklist", excluding.joined(separator: ",")) }
        properties.append(settings.properties)
        return properties
    }

    /// A reader without a group, for an operator's tool.
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
        // The Java client places keys so too. All producers' records of one key are then in one partition.
        properties.set("partitioner", "murmur2_random")
        properties.set("message.max.bytes", maximumRecordBytes)
        // A broker refuses a whole message set for one record in it. A large record is to be alone in its set.
        properties.set("batch.size", 256 << 10)
        return properties
    }

    /// A producer without transactions. A record that is not acknowledged within `deliveryTimeout` ms counts as not written.
    static func idempotent(_ settings: KafkaSettings, deliveryTimeout: Int) -> ClientProperties {
        var properties = producer(settings)
        properties.set("message.timeout.ms", deliveryTimeout)
        // A topic that was not made by then does not exist. Its records fail with that reason, and not with a time-out.
        properties.set("topic.metadata.propagation.max.ms", min(5_000, deliveryTimeout / 2))
        properties.append(settings.properties)
        return properties
    }

    static func transactional(_ settings: KafkaSettings, id: String) -> ClientProperties {
        var properties = producer(settings)
        properties.set("transactional.id", id)
        // It holds a copy of what a transaction writes. When it is full, the writer waits.
        properties.set("queue.buffering.max.kbytes", bufferedKilobytes)
        properties.set(transactionTimeName, Int(defaultTransactionTime))
        // After a commit AddOffsetsToTxn is often answered CONCURRENT_TRANSACTIONS, and librdkafka then waits this long.
        properties.set("retry.backoff.ms", 1)
        properties.append(settings.properties)
        return properties
    }

    /// What librdkafka fetches ahead of a topic. One more fetch may go beyond it.
    static let queuedKilobytes = 16_384
    /// What may wait in a transactional producer.
    static let bufferedKilobytes = 8_192

    /// How large one record may be, headers included. A topic has a limit of its own, by default 1 MB.
    static let maximumRecordBytes = 1_000_000
}
