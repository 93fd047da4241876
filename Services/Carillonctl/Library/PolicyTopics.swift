internal import Kafka
internal import Models
internal import Policies

/// Whether a broker makes a topic by its first record.
enum TopicCreation {
    case automatic, off
    /// The broker does not tell.
    case unknown

    /// - Parameter value: of `auto.create.topics.enable`; nil if the broker does not tell.
    init(_ value: String?) {
        switch value {
        case "true"?: self = .automatic
        case nil: self = .unknown
        default: self = .off
        }
    }
}

/// Compares the topics that the policies lead `POST /v1/events` to with those that are there. Nothing where the broker or the
/// policies cannot be read: other checks say so.
func policyTopicFindings(_ settings: KafkaSettings, policies path: String) -> [Finding] {
    guard let policies = try? PolicyFile.read(path: path), let inspector = try? KafkaInspector(settings),
        let topics = try? inspector.topics()
    else { return [] }
    let wanted = Topics(namespace: settings.namespace).events(of: policies)
    let missing = wanted.filter { topic in !topics.contains { $0.name == topic } }
    // Asked only where it matters: it takes a right of its own.
    let creates = missing.isEmpty ? nil : (try? inspector.configuration(of: .broker))?["auto.create.topics.enable"]
    return [policyTopicFinding(wanted, missing: missing, creation: TopicCreation(creates), brokers: settings.brokers)]
}

func policyTopicFinding(_ wanted: [String], missing: [String], creation: TopicCreation, brokers: String) -> Finding {
    let name = "topics of policies"
    let list = missing.joined(separator: " ")
    switch creation {
    case _ where missing.isEmpty: return .ok(name, "\(wanted.count) are there")
    case .automatic: return .ok(name, "made by their first event: \(list)")
    case .unknown: return .ok(name, "missing, and whether the broker makes them is not known: \(list)")
    case .off:
        return .fail(
            name, "missing, and the broker makes none (POST /v1/events answers unknown_topic): \(list)",
            "kafka-topics.sh --bootstrap-server \(brokers) --create --topic \(missing[0]) --partitions 8"
                + ", or name another topic in the policy (topic:)")
    }
}
