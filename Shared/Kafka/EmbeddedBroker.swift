internal import CRDKafka

/// librdkafka's mock cluster: brokers inside this process that speak the Kafka protocol over TCP, also to other processes. They
/// choose their ports. Everything is in memory (about 5 MB or 100,000 records a partition). The first use of a topic makes it, with
/// four partitions. Two things differ from a real broker: aborted records can be read, and offsets sent in a transaction are thrown
/// away (`KafkaSettings.isMock`).
public final class EmbeddedBroker: @unchecked Sendable {
    // @unchecked: immutable; the mock's calls hand over to its own thread.
    private let client: KafkaClient
    private let cluster: OpaquePointer
    private let count: Int32

    /// `host:port` of each broker, separated by commas.
    public let brokers: String

    /// Starts the brokers. They live as long as this object.
    public init(brokers count: Int = 1) throws(KafkaError) {
        let settings = KafkaSettings(brokers: "127.0.0.1:9", instanceID: "embedded")
        client = try KafkaClient(RD_KAFKA_PRODUCER, ClientProperties(settings))
        self.count = Int32(clamping: max(1, count))
        guard let cluster = rd_kafka_mock_cluster_new(client.raw, self.count),
            let servers = rd_kafka_mock_cluster_bootstraps(cluster)
        else { throw KafkaError(rd_kafka_last_error(), "the mock cluster did not start") }
        self.cluster = cluster
        brokers = String(cString: servers)
    }

    deinit {
        rd_kafka_mock_cluster_destroy(cluster)
        client.destroy()
    }

    /// Makes a topic with a number of partitions. It fails if the topic exists.
    public func createTopic(_ topic: String, partitions: Int = 4) throws(KafkaError) {
        let code = rd_kafka_mock_topic_create(cluster, topic, Int32(clamping: partitions), 1)
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaError(code) }
    }

    /// Lets the brokers say that a topic does not exist, as a broker does that makes no topics by itself; or that it exists again.
    public func hide(_ topic: String, _ isHidden: Bool = true) {
        let code = isHidden ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART : RD_KAFKA_RESP_ERR_NO_ERROR
        rd_kafka_mock_topic_set_error(cluster, topic, code)
    }

    /// Lets the brokers answer the next requests of a kind (its number in the Kafka protocol) with these errors, one each.
    func refuse(_ kind: Int16, with codes: [Int32]) {
        let errors = codes.map { rd_kafka_resp_err_t($0) }
        rd_kafka_mock_push_request_errors_array(cluster, kind, errors.count, errors)
    }

    /// Begins an outage: all brokers close their connections and accept none.
    public func setDown() {
        for broker in 1...count { rd_kafka_mock_broker_set_down(cluster, broker) }
    }

    /// Ends the outage. What was stored is still there.
    public func setUp() {
        for broker in 1...count { rd_kafka_mock_broker_set_up(cluster, broker) }
    }
}
