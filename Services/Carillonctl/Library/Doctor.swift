internal import EventLoop
internal import Kafka
internal import Policies
internal import Redis
internal import Settings

let doctorCommand = Command(
    "doctor", summary: "Check a deployment: broker, topics, Redis, policies, edge",
    details: """
        One line a check: ok, or fail with what to do about it. It changes nothing. Status 0 if all is well, else 1. Give it the
        services' own variables (KAFKA_BROKERS, REDIS_URL, POLICIES, EDGE_URL, NAMESPACE).
        """,
    options: [
        Option("no-edge", nil, "leave out the edge and what is behind it"),
        Option("no-policies", nil, "leave out the policies' file"),
    ]
) { invocation in
    let options = invocation.options
    let kafka = try invocation.settings.kafka()
    var findings = brokerFindings(kafka)
    if !options.has("no-policies") {
        findings += policyTopicFindings(kafka, policies: try invocation.settings.value(ControlSettings.policies))
    }
    let redis = try invocation.settings.redis()
    let loop = EventLoop(name: "carillonctl")
    loop.start()
    findings += await RedisExamination(loop: loop, redis.endpoint, redis.limits, redis.keys).findings()
    if !options.has("no-policies") { findings.append(policyFinding(try invocation.settings.value(ControlSettings.policies))) }
    if !options.has("no-edge") {
        let url = try invocation.settings.value(ControlSettings.edgeURL)
        findings += await EdgeExamination(loop: loop, url: url).findings()
    }
    for service in operationsURLs(invocation.environment) {
        findings += await ServiceExamination(loop: loop).findings(service.name, service.urls)
    }
    let width = findings.map(\.name.count).max() ?? 0
    for finding in findings { invocation.terminal.line(finding.line(width: width)) }
    return findings.allSatisfy(\.isWell) ? Status.done : Status.failed
}

/// What one check came to.
struct Finding: Equatable, Sendable {
    let name: String
    let text: String
    /// What to do about it; nil where all is well.
    let remedy: String?

    var isWell: Bool { remedy == nil }

    static func ok(_ name: String, _ text: String) -> Finding { Finding(name: name, text: text, remedy: nil) }
    static func fail(_ name: String, _ text: String, _ remedy: String) -> Finding {
        Finding(name: name, text: text, remedy: remedy)
    }

    func line(width: Int) -> String {
        let padding = String(repeating: " ", count: max(0, width - name.count))
        return "\(isWell ? "ok  " : "fail")  \(name)\(padding)  \(printable(text))" + (remedy.map { "; \($0)" } ?? "")
    }
}

// MARK: Kafka

private func brokerFindings(_ settings: KafkaSettings) -> [Finding] {
    do {
        let topics = try KafkaInspector(settings).topics()
        return [.ok("broker", "\(settings.brokers) answers")] + topicFindings(topics, settings)
    } catch {
        return [.fail("broker", "\(settings.brokers): \(error.reason)", "start it, or set KAFKA_BROKERS (and KAFKA_PROPERTIES)")]
    }
}

/// Compares the topics that are there with those that the services use.
func topicFindings(_ topics: [KafkaTopic], _ settings: KafkaSettings) -> [Finding] {
    let present = Set(topics.compactMap { settings.name(ofTopic: $0.name) })
    let lanes =
        ["notifications", "push"].flatMap { group in ["high", "normal", "low"].map { "\(group).\($0)" } } + ["push.retry.apns"]
    let letters = ["events.dlq", "notifications.dlq", "push.dlq"]
    let events = present.filter { $0.hasPrefix("events.") && $0 != "events.dlq" }
    let missing = (lanes + letters).filter { !present.contains($0) }
    var findings: [Finding] = []
    if events.isEmpty {
        findings.append(
            .fail("topics events.*", "there is none", "they are made by the first event; or " + creation("events.social", settings)))
    } else {
        findings.append(.ok("topics events.*", events.sorted().joined(separator: " ")))
    }
    if missing.isEmpty {
        findings.append(.ok("topics of the suite", "\((lanes + letters).count) are there"))
    } else {
        findings.append(
            .fail(
                "topics of the suite", "missing: " + missing.joined(separator: " "), creation(missing[0], settings)))
    }
    return findings
}

private func creation(_ topic: String, _ settings: KafkaSettings) -> String {
    let partitions = topic.hasSuffix(".dlq") ? 1 : 8
    return "kafka-topics.sh --bootstrap-server \(settings.brokers) --create --topic \(settings.topic(topic)) --partitions \(partitions)"
        + (topic.hasSuffix(".dlq") ? " --config retention.ms=-1" : "")
}

// MARK: Policies

func policyFinding(_ path: String) -> Finding {
    do {
        _ = try PolicyFile.read(path: path)
        return .ok("policies", "\(path) can be used")
    } catch {
        let complaint = error.complaints.first?.description ?? "it cannot be read"
        let more = error.complaints.count > 1 ? " (and \(error.complaints.count - 1) more)" : ""
        return .fail("policies", "\(path): \(complaint)\(more)", "mend the file, or set POLICIES to the right one")
    }
}

// MARK: Services

/// `OPERATIONS_GATEWAY` and its like, as a local cluster names them: base URLs separated by blanks.
func operationsURLs(_ environment: [String: String]) -> [(name: String, urls: [String])] {
    environment.keys.filter { $0.hasPrefix("OPERATIONS_") && $0 != "OPERATIONS_PORT" }.sorted().map { name in
        let service = name.dropFirst("OPERATIONS_".count).lowercased().split(separator: "_").joined(separator: "-")
        return (service, (environment[name] ?? "").split(separator: " ").map(String.init))
    }
}
