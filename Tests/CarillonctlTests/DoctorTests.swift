import Foundation
import Kafka
import TestSupport
import Testing

@testable import Carillonctl

@Suite struct DoctorTests {
    @Test func nothingIsThere() async {
        let environment = [
            "KAFKA_BROKERS": "127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1", "EDGE_URL": "http://127.0.0.1:1",
            "POLICIES": "/proc/nothing.yaml", "OPERATIONS_GATEWAY": "http://127.0.0.1:1",
        ]
        let (status, written) = await carillonctl("doctor", environment: environment)
        #expect(status == 1)
        #expect(written.lines.count == 5)
        #expect(written.lines.allSatisfy { $0.hasPrefix("fail  ") && $0.contains("; ") }, "\(written.out)")
    }

    @Test func fitDeploymentIsAllOk() async throws {
        let redis = try RedisServer()
        defer { redis.stop() }
        let broker = try EmbeddedBroker()
        for name in ["events.social", "events.dlq", "notifications.dlq", "push.dlq", "push.retry.apns"] {
            try broker.createTopic(name, partitions: 1)
        }
        for lane in ["high", "normal", "low"] {
            try broker.createTopic("notifications.\(lane)")
            try broker.createTopic("push.\(lane)")
        }
        let environment = ["KAFKA_BROKERS": broker.brokers, "REDIS_URL": redis.url]
        let (status, written) = await carillonctl("doctor", "--no-edge", "--no-policies", environment: environment)
        #expect(status == 0, "\(written.out)")
        #expect(written.lines.allSatisfy { $0.hasPrefix("ok    ") })

        _ = try redis.cli("CONFIG", "SET", "appendfsync", "everysec")
        let weak = await carillonctl("doctor", "--no-edge", "--no-policies", environment: environment)
        #expect(weak.status == 1)
        #expect(weak.written.lines.filter { $0.hasPrefix("fail") }.count == 1)
        #expect(weak.written.out.contains("appendfsync everysec: a crash loses what was acknowledged; redis-cli CONFIG SET"))

        _ = try redis.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        let evicting = await carillonctl("doctor", "--no-edge", "--no-policies", environment: environment)
        #expect(evicting.written.out.contains("CONFIG SET maxmemory-policy noeviction"))
    }

    @Test func missingTopicsComeWithTheLineThatMakesThem() {
        let settings = KafkaSettings(brokers: "b:9092", namespace: "ns", instanceID: "test")
        let findings = topicFindings([KafkaTopic(name: "ns.events.social", partitions: [0])], settings)
        #expect(findings[0] == .ok("topics events.*", "events.social"))
        #expect(findings[1].remedy == "kafka-topics.sh --bootstrap-server b:9092 --create --topic ns.notifications.high --partitions 8")
    }

    @Test func topicsThatThePoliciesLeadToAreCompared() {
        func finding(_ missing: [String], _ creates: Bool?) -> Finding {
            policyTopicFinding(["events.a", "events.b"], missing: missing, creates: creates, brokers: "kafka:9092")
        }
        #expect(finding([], nil) == .ok("topics of policies", "2 are there"))
        #expect(finding(["events.b"], true) == .ok("topics of policies", "made by their first event: events.b"))
        #expect(finding(["events.b"], nil).isWell)
        let fails = finding(["events.b"], false)
        #expect(!fails.isWell && fails.text.contains("events.b") && fails.text.contains("unknown_topic"))
        #expect(fails.remedy?.hasPrefix("kafka-topics.sh --bootstrap-server kafka:9092 --create --topic events.b ") == true)
    }

    @Test func policiesAreChecked() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("types:\n  social.like: {category: social, priority: urgent}\n".utf8).write(to: file)
        let finding = policyFinding(file.path)
        #expect(!finding.isWell && finding.text.contains("line 2"))
    }

    @Test func operationsComeFromTheClusterFile() {
        let found = operationsURLs(["OPERATIONS_FANOUT_WORKER": "http://a:1 http://a:2", "OPERATIONS_PORT": "9000"])
        #expect(found.count == 1 && found[0].name == "fanout-worker" && found[0].urls == ["http://a:1", "http://a:2"])
    }
}
