import EventLoop
import Settings
import TestSupport
import Testing

@testable import Kafka

/// A real broker behind SASL and TLS: what each client of the services says of its mistakes.
@Suite(.blocking, .enabled(if: KafkaBroker.home != nil, "set KAFKA_HOME to a Kafka distribution for these"))
struct SecuredBrokerTests {
    private static let certificate = Result { try TestCertificate() }
    private static let broker = Result { try KafkaBroker(certificate: try certificate.get()) }

    private func settings(_ password: String = KafkaBroker.password, authority: String? = nil) throws -> KafkaSettings {
        let properties = [
            "security.protocol=SASL_SSL", "sasl.mechanism=PLAIN", "sasl.username=\(KafkaBroker.user)", "sasl.password=\(password)",
            "ssl.ca.location=\(try authority ?? Self.certificate.get().certificate)",
        ]
        let server = try KafkaServerSettings(Environment(["KAFKA_PROPERTIES": properties.joined(separator: ";")]))
        return KafkaSettings(
            brokers: try Self.broker.get().secured, properties: server.properties, namespace: "sasl", instanceID: "one")
    }

    @Test func theWholeWay() async throws {
        let settings = try settings()
        try await produce(settings, records(settings, 0..<100))
        let bench = try await Bench { try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await bench.until(60) { $0.seen.count == 100 })
        #expect(await bench.ask { $0.states } == [.up])
        #expect(try await holds(settings, "out", 100))
        await stop(bench)
    }

    @Test func aWrongPasswordIsCalledThat() async throws {
        let bench = try await Bench { [settings = try settings("falsch")] in try Echo($0, settings, topics: ["in"], output: "out") }
        #expect(await bench.until(60) { !$0.states.isEmpty })
        guard case .down(let reason)? = await bench.ask({ $0.states.first }) else {
            Issue.record("it is up")
            return
        }
        #expect(reason.hasSuffix("it refuses user or password (sasl.username, sasl.password)"), "\(reason)")
        await stop(bench)
    }

    @Test func anUnknownAuthorityIsCalledThat() async throws {
        let other = try TestCertificate()
        let bench = try await Bench { [settings = try settings(authority: other.certificate)] in
            try Echo($0, settings, topics: ["in"], output: "out")
        }
        #expect(await bench.until(60) { !$0.states.isEmpty })
        guard case .down(let reason)? = await bench.ask({ $0.states.first }) else {
            Issue.record("it is up")
            return
        }
        #expect(reason.hasSuffix("its certificate is not trusted (ssl.ca.location)"), "\(reason)")
        await stop(bench)
    }
}
