internal import CRDKafka

/// A topic to be made.
public struct NewTopic: Equatable, Sendable {
    /// The full name, the namespace included.
    public let name: String
    public let partitions: Int
    /// Topic settings of the broker (`retention.ms`, …). Others have the broker's default.
    public let settings: [String: String]

    public init(name: String, partitions: Int, settings: [String: String] = [:]) {
        self.name = name
        self.partitions = partitions
        self.settings = settings
    }
}

extension KafkaInspector {
    /// Makes the topics that are missing, with the broker's default replication, and answers their names. A topic that exists stays
    /// as it is. The call waits until the broker shows all topics, because the controller answers before that. Blocks its thread.
    /// - Throws: the first refusal. The topics before and behind it may have been made.
    @discardableResult
    public func create(_ topics: [NewTopic], timeout: Duration = .seconds(15)) throws(KafkaError) -> [String] {
        let existing = Set(try self.topics(timeout: timeout).map(\.name))
        let missing = topics.filter { !existing.contains($0.name) }
        guard !missing.isEmpty else { return [] }
        let made = try make(missing, timeout)
        let deadline = ContinuousClock.now + timeout
        while !Set(made).isSubset(of: Set(try self.topics(timeout: timeout).map(\.name))) {
            guard ContinuousClock.now < deadline else { throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT) }
            rd_kafka_poll(client.raw, 20)
        }
        return made
    }

    private func make(_ missing: [NewTopic], _ timeout: Duration) throws(KafkaError) -> [String] {
        var requests: [OpaquePointer?] = []
        defer { for request in requests { rd_kafka_NewTopic_destroy(request) } }
        for topic in missing { requests.append(try request(topic)) }
        guard let queue = rd_kafka_queue_new(client.raw) else { throw KafkaError(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) }
        defer { rd_kafka_queue_destroy(queue) }
        rd_kafka_CreateTopics(client.raw, &requests, requests.count, nil, queue)
        guard let event = rd_kafka_queue_poll(queue, milliseconds(timeout)) else { throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT) }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        var count = 0
        guard let results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count) else { return [] }
        var made: [String] = []
        for index in 0..<count {
            let name = rd_kafka_topic_result_name(results[index]).map { String(cString: $0) } ?? ""
            switch rd_kafka_topic_result_error(results[index]) {
            case RD_KAFKA_RESP_ERR_NO_ERROR: made.append(name)
            // Somebody else has made it meanwhile.
            case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: break
            case let failure:
                let reason = rd_kafka_topic_result_error_string(results[index]).map { String(cString: $0) } ?? ""
                throw KafkaError(failure, "the topic \(name): \(reason)")
            }
        }
        return made
    }

    private func request(_ topic: NewTopic) throws(KafkaError) -> OpaquePointer {
        var message = [CChar](repeating: 0, count: 256)
        // Replication -1: the broker's default.
        let partitions = Int32(clamping: topic.partitions)
        guard let request = rd_kafka_NewTopic_new(topic.name, partitions, -1, &message, message.count) else {
            throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, "the topic \(topic.name) cannot be asked for")
        }
        for (name, value) in topic.settings { rd_kafka_NewTopic_set_config(request, name, value) }
        return request
    }
}
