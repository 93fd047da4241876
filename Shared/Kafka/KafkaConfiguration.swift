internal import CRDKafka

/// What has settings of its own in a broker.
public enum KafkaResource: Equatable, Sendable {
    /// Any broker, for what all brokers share.
    case broker
    /// By its full name.
    case topic(String)
}

extension KafkaInspector {
    /// The settings in force for a resource (`auto.create.topics.enable`, `retention.ms`, …). Blocks its thread.
    /// - Throws: also if this user may not see them, or if the broker does not say (librdkafka's mock).
    public func configuration(
        of resource: KafkaResource, timeout: Duration = .seconds(5)
    ) throws(KafkaError) -> [String: String] {
        let (kind, name) =
            switch resource {
            case .broker: (RD_KAFKA_RESOURCE_BROKER, String(try anyBroker(timeout)))
            case .topic(let topic): (RD_KAFKA_RESOURCE_TOPIC, topic)
            }
        guard let queue = rd_kafka_queue_new(client.raw) else { throw KafkaError(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE) }
        defer { rd_kafka_queue_destroy(queue) }
        var requests = [rd_kafka_ConfigResource_new(kind, name)]
        defer { for request in requests { rd_kafka_ConfigResource_destroy(request) } }
        rd_kafka_DescribeConfigs(client.raw, &requests, requests.count, nil, queue)
        guard let event = rd_kafka_queue_poll(queue, milliseconds(timeout)) else { throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT) }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        var count = 0
        guard
            let results = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count),
            count > 0, let described = results[0]
        else { throw KafkaError(RD_KAFKA_RESP_ERR__BAD_MSG) }
        let refusal = rd_kafka_ConfigResource_error(described)
        guard refusal == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(refusal) }
        return entries(of: described)
    }

    private func entries(of resource: OpaquePointer) -> [String: String] {
        var count = 0
        guard let entries = rd_kafka_ConfigResource_configs(resource, &count) else { return [:] }
        var values: [String: String] = [:]
        for index in 0..<count {
            // A secret has no value.
            guard let entry = entries[index], let name = rd_kafka_ConfigEntry_name(entry),
                let value = rd_kafka_ConfigEntry_value(entry)
            else { continue }
            values[String(cString: name)] = String(cString: value)
        }
        return values
    }

    private func anyBroker(_ timeout: Duration) throws(KafkaError) -> Int32 {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(client.raw, 0, nil, &metadata, milliseconds(timeout))
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw KafkaError(code) }
        defer { rd_kafka_metadata_destroy(metadata) }
        guard metadata.pointee.broker_cnt > 0 else { throw KafkaError(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) }
        return metadata.pointee.brokers[0].id
    }
}
