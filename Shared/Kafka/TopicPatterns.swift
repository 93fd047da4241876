internal import CRDKafka
internal import Glibc

/// Whether a broker has a topic.
enum TopicFinding: Sendable {
    case found, missing
    /// The broker does not say.
    case unknown
}

/// Which topics a subscription reads: names, or POSIX regular expressions that begin with `^`, as librdkafka takes them.
struct TopicPatterns: Sendable {
    let topics: [String]
    let excluding: [String]

    func match(_ topic: String) -> Bool {
        topics.contains { $0.hasPrefix("^") ? Self.matches(topic, $0) : $0 == topic }
            && !excluding.contains { Self.matches(topic, $0) }
    }

    private static func matches(_ text: String, _ pattern: String) -> Bool {
        var compiled = regex_t()
        guard regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) == 0 else { return false }
        defer { regfree(&compiled) }
        return regexec(&compiled, text, 0, nil, 0) == 0
    }
}

extension KafkaClient {
    /// Whether one of the topics is there. Blocks up to `timeout` ms.
    func find(_ patterns: TopicPatterns, timeout: Int32) -> TopicFinding {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        guard rd_kafka_metadata(raw, 1, nil, &metadata, timeout) == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else {
            return .unknown
        }
        defer { rd_kafka_metadata_destroy(metadata) }
        for index in 0..<Int(metadata.pointee.topic_cnt) {
            guard let name = metadata.pointee.topics[index].topic else { continue }
            if patterns.match(String(cString: name)) { return .found }
        }
        return .missing
    }
}
