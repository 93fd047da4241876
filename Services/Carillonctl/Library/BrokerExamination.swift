internal import Kafka
internal import Models
internal import Policies

/// The topics that are there, none if no broker answers, and what the checks of Kafka came to.
func examineBroker(_ settings: KafkaSettings, dedupWindow: Duration) -> (topics: [KafkaTopic], findings: [Finding]) {
    let inspector: KafkaInspector
    let topics: [KafkaTopic]
    do {
        inspector = try KafkaInspector(settings)
        topics = try inspector.topics()
    } catch {
        let remedy =
            ["sasl.", "ssl.", "security.protocol"].contains { error.reason.contains($0) }
            ? "mend that in KAFKA_PROPERTIES" : "start it, or set KAFKA_BROKERS (and KAFKA_PROPERTIES)"
        return ([], [.fail("broker", "\(settings.brokers): \(error.reason)", remedy)])
    }
    var findings = [Finding.ok("broker", "\(settings.brokers) answers")] + topicFindings(topics, settings)
    let ours = topics.filter { settings.name(ofTopic: $0.name).map(isOfTheSuite) ?? false || internalTopics.contains($0.name) }
    do {
        var values: [String: [String: String]] = [:]
        for topic in ours { values[topic.name] = try inspector.configuration(of: .topic(topic.name)) }
        findings += replicationFindings(ours, values)
        findings.append(retentionFinding(ours, values, settings, dedupWindow: dedupWindow))
    } catch {
        findings.append(
            settings.isMock
                ? .ok("topic settings", "the mock has none")
                : .warn("topic settings", "not told: \(error.reason)", "let this user DescribeConfigs of topics"))
    }
    return (topics, findings)
}

/// Where Kafka itself keeps what transactions and groups have come to.
private let internalTopics = ["__consumer_offsets", "__transaction_state"]

private func isOfTheSuite(_ name: String) -> Bool {
    ["events.", "notifications.", "push."].contains { name.hasPrefix($0) }
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

// MARK: Settings

/// Whether what is acknowledged stands on more than one broker, and whether one that stops ends all writing.
func replicationFindings(_ topics: [KafkaTopic], _ values: [String: [String: String]]) -> [Finding] {
    let name = "replication"
    func minimum(_ topic: KafkaTopic) -> Int { values[topic.name]?["min.insync.replicas"].flatMap { Int($0) } ?? 1 }
    func names(_ topics: [KafkaTopic]) -> String {
        topics.prefix(3).map(\.name).joined(separator: " ") + (topics.count > 3 ? " and \(topics.count - 3) more" : "")
    }
    var findings: [Finding] = []
    let stuck = topics.filter { $0.inSync < minimum($0) }
    if !stuck.isEmpty {
        findings.append(
            .fail(
                name, "fewer replicas in sync than min.insync.replicas, so nothing can be written: \(names(stuck))",
                "bring their brokers back: kafka-topics.sh --describe --under-min-isr-partitions"))
    }
    let rigid = topics.filter { $0.replicas > 1 && minimum($0) >= $0.replicas }
    if !rigid.isEmpty {
        findings.append(
            .fail(
                name, "min.insync.replicas is the number of replicas, so one broker that stops ends all writing: \(names(rigid))",
                "kafka-configs.sh --alter --entity-type topics --entity-name … --add-config min.insync.replicas=2, with three replicas"))
    }
    let weak = topics.filter { $0.replicas > 1 && minimum($0) == 1 }
    if !weak.isEmpty {
        findings.append(
            .fail(
                name, "min.insync.replicas is 1, so what is acknowledged may be on one broker only: \(names(weak))",
                "kafka-configs.sh --alter --entity-type topics --entity-name … --add-config min.insync.replicas=2"))
    }
    let single = topics.filter { $0.replicas == 1 }
    if !single.isEmpty {
        findings.append(
            .warn(name, "one replica only: \(names(single))", "three brokers and replication factor 3, unless this is only for trying out"))
    }
    guard findings.isEmpty, let fewest = topics.map(\.replicas).min() else { return findings }
    return [.ok(name, "\(fewest) replicas, min.insync.replicas \(topics.map(minimum).min() ?? 1)")]
}

/// Whether a record that is read again is always recognised: what is kept longer than repeats are known may be shown twice.
func retentionFinding(
    _ topics: [KafkaTopic], _ values: [String: [String: String]], _ settings: KafkaSettings, dedupWindow: Duration
) -> Finding {
    let name = "retention"
    let window = Int64(dedupWindow / .milliseconds(1))
    func days(_ milliseconds: Int64) -> String { milliseconds < 0 ? "for ever" : "for \(Double(milliseconds) / 86_400_000) days" }
    var shortest = Int64.max
    for topic in topics where settings.name(ofTopic: topic.name).map({ isOfTheSuite($0) && !$0.hasSuffix(".dlq") }) ?? false {
        guard let retention = values[topic.name]?["retention.ms"].flatMap({ Int64($0) }) else { continue }
        if retention < 0 || retention > window {
            return .fail(
                name, "\(topic.name) keeps records \(days(retention)), and repeats are recognised \(days(window)) (DEDUP_WINDOW)",
                "raise DEDUP_WINDOW, or kafka-configs.sh --alter --entity-type topics --entity-name \(topic.name) "
                    + "--add-config retention.ms=\(window)")
        }
        shortest = min(shortest, retention)
    }
    return .ok(name, "no topic keeps records longer than repeats are recognised (\(days(window)))")
}

// MARK: The canary

/// The first type of the policies whose topic is there; else one that the suite's own file has.
func canaryType(_ policies: String, topics: [KafkaTopic], _ settings: KafkaSettings) -> String {
    let present = Set(topics.map(\.name))
    let table = (try? PolicyFile.read(path: policies)) ?? PolicyTable()
    let types = table.types.sorted()
    let fitting = types.first { type in
        Topics(namespace: settings.namespace).events(forType: type, policy: table.policy(for: type)).map(present.contains) ?? false
    }
    return fitting ?? types.first ?? "system.alert"
}
