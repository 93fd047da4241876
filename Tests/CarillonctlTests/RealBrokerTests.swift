import Foundation
import Kafka
import TestSupport
import Testing

@testable import Carillonctl

/// What only a real broker has: transactions' markers, settings of topics, SASL and TLS.
@Suite(.blocking, .enabled(if: KafkaBroker.home != nil, "set KAFKA_HOME to a Kafka distribution for these"))
struct RealBrokerTests {
    private static let certificate = Result { try TestCertificate() }
    private static let broker = Result { try KafkaBroker(certificate: try certificate.get()) }

    private var properties: [String: String] {
        get throws {
            [
                "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": KafkaBroker.user,
                "sasl.password": KafkaBroker.password, "ssl.ca.location": try Self.certificate.get().certificate,
            ]
        }
    }

    private func doctor(_ changed: [String: String?] = [:], brokers: String? = nil, _ more: [String: String] = [:]) async throws -> [String]
    {
        var properties = try properties
        for (name, value) in changed { properties[name] = value }
        let environment = [
            "KAFKA_BROKERS": try brokers ?? Self.broker.get().secured, "REDIS_URL": "redis://127.0.0.1:1",
            "KAFKA_PROPERTIES": properties.map { "\($0)=\($1)" }.joined(separator: ";"),
        ]
        return await carillonctl("doctor", "--no-edge", "--no-policies", environment: environment.merging(more) { $1 }).written.lines
    }

    @Test func mistakesAboutTheBrokersDoorAreNamed() async throws {
        let other = try TestCertificate()
        let plain = try Self.broker.get().brokers
        let well = try await doctor()
        #expect(well[0].hasPrefix("ok    broker"), "\(well)")
        for (lines, words) in [
            (
                try await doctor(["sasl.password": "falsch"]),
                "it refuses user or password (sasl.username, sasl.password); mend that in KAFKA_PROPERTIES"
            ),
            (try await doctor(["ssl.ca.location": other.certificate]), "its certificate is not trusted (ssl.ca.location)"),
            (try await doctor(["sasl.mechanism": "SCRAM-SHA-256"]), "it does not take this sasl.mechanism; it takes PLAIN"),
            (try await doctor(["security.protocol": "SSL"]), "this listener wants SASL (security.protocol)"),
            (try await doctor(["security.protocol": "PLAINTEXT"]), "this listener speaks TLS, it seems (security.protocol)"),
            (try await doctor(brokers: plain), "the handshake of TLS failed, as where a listener speaks none (security.protocol)"),
            (try await doctor(["security.protocol": "SASL_PLAINTEXT"], brokers: plain), "this listener takes no SASL (security.protocol)"),
        ] { #expect(lines[0].hasPrefix("fail  broker") && lines[0].contains(words), "\(lines[0]), and not \(words)") }
    }

    @Test func settingsOfTopicsAreAsked() async throws {
        let broker = try Self.broker.get()
        try broker.createTopic("t.events.social", configuration: "retention.ms=86400000")
        let lines = try await doctor([:], ["NAMESPACE": "t"])
        #expect(
            lines.contains { $0.hasPrefix("warn  replication") && $0.contains("one replica only: ") && $0.contains("t.events.social") },
            "\(lines)")
        #expect(lines.contains { $0.hasPrefix("ok    retention") && $0.contains("for 7.0 days") }, "\(lines)")
        let short = try await doctor([:], ["NAMESPACE": "t", "DEDUP_WINDOW": "1h"])
        #expect(short.contains { $0.hasPrefix("fail  retention") && $0.contains("t.events.social keeps records for 1.0 days") }, "\(short)")
    }

    @Test func theReplicasThatATopicWantsAreAsked() async throws {
        let broker = try Self.broker.get()
        try broker.createTopic("i.events.social", configuration: "min.insync.replicas=2")
        let lines = try await doctor([:], ["NAMESPACE": "i"])
        let words = "fewer replicas in sync than min.insync.replicas, so nothing can be written: i.events.social"
        #expect(lines.contains { $0.hasPrefix("fail  replication") && $0.contains(words) }, "\(lines)")
    }

    /// Each transaction ends in a marker, which has an offset and is no record.
    @Test func theNewestLettersAreFoundBehindMarkers() async throws {
        let broker = try Self.broker.get()
        try broker.createTopic("m.events.dlq", partitions: 1)
        try broker.produceInTransactions("m.events.dlq", records: 3)
        let environment = ["KAFKA_BROKERS": broker.brokers, "NAMESPACE": "m"]
        let one = await carillonctl("dlq", "list", "--limit", "1", environment: environment).written
        #expect(one.lines.count == 1 && !one.error.contains("no dead letters"), "\(one.out) \(one.error)")
        let all = await carillonctl("dlq", "list", environment: environment).written
        #expect(all.lines.count == 3 && all.lines.first == one.lines.first)
    }
}
