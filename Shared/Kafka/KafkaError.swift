internal import CRDKafka

/// Why a call to Kafka failed.
public struct KafkaError: Error, Equatable, Sendable, CustomStringConvertible {
    /// librdkafka's code. The broker's are positive, librdkafka's own are negative.
    public let code: Int32
    /// The code's name, for example `_TRANSPORT` or `MSG_SIZE_TOO_LARGE`. The list is fixed, so it may be a metric's label.
    public let name: String
    /// In words, for a log line. It names addresses and topics, and nothing of a record.
    public let reason: String

    init(_ code: rd_kafka_resp_err_t, _ reason: String? = nil) {
        self.code = code.rawValue
        name = String(cString: rd_kafka_err2name(code))
        self.reason = reason ?? String(cString: rd_kafka_err2str(code))
    }

    public var description: String { "\(name): \(reason)" }

    /// The broker, or the way to it, was away or too slow. It says nothing about the record, which may be sent again.
    public var isOutage: Bool {
        switch rd_kafka_resp_err_t(code) {
        case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
            RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR__QUEUE_FULL,
            RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, RD_KAFKA_RESP_ERR__DESTROY,
            RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__SSL, RD_KAFKA_RESP_ERR__AUTHENTICATION,
            RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
            true
        default: false
        }
    }

    /// The partition has no leader at present, or not the one that was asked.
    var lacksLeader: Bool {
        code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE.rawValue || code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION.rawValue
    }

    /// The topic does not exist, and the broker makes none for a record.
    public var isUnknownTopic: Bool {
        code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC.rawValue || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART.rawValue
    }

    /// Kafka will never take the record. To send it again would only block the records behind it.
    public var isRefusal: Bool {
        switch rd_kafka_resp_err_t(code) {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
            RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, RD_KAFKA_RESP_ERR__INVALID_ARG:
            true
        default: false
        }
    }

    /// The broker does not know this producer any more, or knows a newer one of its transactional id. Only a new producer can
    /// go on.
    var endsProducer: Bool {
        switch rd_kafka_resp_err_t(code) {
        case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
            RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, RD_KAFKA_RESP_ERR__STATE:
            true
        default: isFenced
        }
    }

    /// A newer producer has the same transactional id.
    var isFenced: Bool {
        code == RD_KAFKA_RESP_ERR__FENCED.rawValue || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED.rawValue
    }

    /// The same error, with the topic in its words.
    func about(topic: String) -> KafkaError {
        reason.contains(topic) ? self : KafkaError(rd_kafka_resp_err_t(code), "\(reason) (topic \(topic))")
    }

    /// Something took longer than it may, perhaps because it was too much at once.
    var isTimeOut: Bool {
        code == RD_KAFKA_RESP_ERR__TIMED_OUT.rawValue || code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT.rawValue
    }

    /// The record was taken back before it was sent or answered, because something else had failed.
    var isPurge: Bool {
        code == RD_KAFKA_RESP_ERR__PURGE_QUEUE.rawValue || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT.rawValue
    }

    /// Too many records wait. This one was not queued.
    public var isOverLimit: Bool { code == RD_KAFKA_RESP_ERR__QUEUE_FULL.rawValue }

    /// The group has a new generation, or another member has the partitions. What the old member held is no longer its own.
    var isStaleMember: Bool {
        switch rd_kafka_resp_err_t(code) {
        case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
            RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
            true
        default: false
        }
    }
}

/// An error object of librdkafka's newer calls. It is read once and destroyed.
struct ClientFailure {
    let error: KafkaError
    let isFatal: Bool
    let isRetriable: Bool
    let mustAbort: Bool

    /// `nil` if the call succeeded. After a fatal error a client answers every call with `_FATAL`: the fatal error is told instead.
    init?(_ raw: OpaquePointer?, of client: KafkaClient) {
        guard let raw else { return nil }
        let said = KafkaError(rd_kafka_error_code(raw), String(cString: rd_kafka_error_string(raw)))
        error = rd_kafka_error_code(raw) == RD_KAFKA_RESP_ERR__FATAL ? client.fatalCause ?? said : said
        isFatal = rd_kafka_error_is_fatal(raw) != 0
        isRetriable = rd_kafka_error_is_retriable(raw) != 0
        mustAbort = rd_kafka_error_txn_requires_abort(raw) != 0
        rd_kafka_error_destroy(raw)
    }
}

/// What is known of the broker: whether it answers.
public enum BrokerState: Equatable, Sendable {
    case up
    /// In words, for one log line.
    case down(String)
}
