import EventLoop
import Foundation
import HTTPClient
import Kafka
import Settings
import Store
import Synchronization
import TestSupport
import Testing

@testable import Carillonctl

@Suite(.blocking) struct DoctorTests {
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
        let environment = ["KAFKA_BROKERS": broker.brokers, "KAFKA_MOCK": "true", "REDIS_URL": redis.url]
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

    @Test(arguments: [
        (["maxmemory", "1"], "Redis has reached maxmemory and takes no writes (OOM); raise maxmemory"),
        (["min-replicas-to-write", "2"], "takes no writes (NOREPLICAS); bring its replicas back, or lower min-replicas-to-write"),
    ])
    func aRedisThatTakesNoWrites(_ setting: [String], _ words: String) async throws {
        let redis = try RedisServer()
        defer { redis.stop() }
        try redis.cli("CONFIG", "SET", setting[0], setting[1])
        let loop = EventLoop(name: "doctor")
        loop.start()
        defer { loop.stop() }
        let settings = try RedisSettings(Environment(["REDIS_URL": redis.url]))
        let examiner = try StoreExaminer(loop: loop, settings: settings, namespace: "")
        let lines = storeFindings(await examiner.examine()).map { $0.line(width: 1) }
        #expect(lines.contains { $0.hasPrefix("fail") && $0.contains("redis writes") && $0.contains(words) }, "\(lines)")
        #expect(lines.count == 5)
    }

    /// Each mistake about Redis's credentials and TLS comes with the setting to mend.
    @Test func mistakesAboutRedisAreNamed() async throws {
        let certificate = try TestCertificate()
        let held = try HeldPort()
        defer { withExtendedLifetime(held) {} }
        let redis = try RedisServer()
        defer { redis.stop() }
        try redis.cli("CONFIG", "SET", "tls-auth-clients", "no")
        try redis.cli(
            "CONFIG", "SET", "tls-cert-file", certificate.certificate, "tls-key-file", certificate.key, "tls-ca-cert-file",
            certificate.certificate, "tls-port", "\(held.number)")
        // The users of docs/operations.md.
        try redis.cli("ACL", "SETUSER", "carillon", "on", ">geheim", "~ns:*", "&ns:*", "+@all", "-@admin", "-@dangerous", "+info")
        try redis.cli("ACL", "SETUSER", "doctor", "on", ">geheim", "~ns:*", "+@all", "-@admin", "-@dangerous", "+info", "+config|get")
        try redis.cli("ACL", "SETUSER", "default", "off")
        func ask(_ user: String, _ more: [String: String] = [:]) async -> [String] {
            let environment = [
                "REDIS_URL": "rediss://\(user)@localhost:\(held.number)", "REDIS_CA_FILE": certificate.certificate, "NAMESPACE": "ns",
                "KAFKA_BROKERS": "127.0.0.1:1",
            ]
            let answer = await carillonctl(
                "doctor", "--no-edge", "--no-policies", environment: environment.merging(more) { $1 })
            return answer.written.lines.filter { $0.contains("redis") }
        }
        let well = await ask("doctor:geheim")
        #expect(well.count == 5 && well.allSatisfy { $0.hasPrefix("ok ") }, "\(well)")
        let plain = "redis://doctor:geheim@localhost:\(held.number)"
        for (lines, words) in [
            (await ask("doctor:falsch"), "user or password is wrong (WRONGPASS); mend user and password in REDIS_URL"),
            (await ask(""), "Redis wants a password (NOAUTH); write the password into REDIS_URL"),
            (await ask("doctor:geheim", ["REDIS_CA_FILE": ""]), "certificate is not trusted: self-signed certificate; set REDIS_CA_FILE"),
            (await ask("doctor:geheim", ["REDIS_URL": plain]), "; write rediss:// in REDIS_URL"),
            (
                await ask("doctor:geheim", ["REDIS_URL": "rediss://doctor:geheim@localhost:\(redis.port)"]),
                "; write redis:// in REDIS_URL, or the port that speaks TLS"
            ),
            (await ask("carillon:geheim", ["NAMESPACE": "other"]), "the user may not do that (its ACL)"),
        ] { #expect(lines.contains { $0.hasPrefix("fail") && $0.contains(words) }, "\(lines), and not \(words)") }
    }

    @Test func replicationIsJudged() {
        func findings(_ replicas: Int, _ inSync: Int, _ minimum: Int) -> [Finding] {
            replicationFindings(
                [KafkaTopic(name: "events.social", partitions: [0], replicas: replicas, inSync: inSync)],
                ["events.social": ["min.insync.replicas": "\(minimum)"]])
        }
        #expect(findings(3, 3, 2) == [.ok("replication", "3 replicas, min.insync.replicas 2")])
        #expect(findings(3, 2, 2).map(\.verdict) == [.ok])
        #expect(
            findings(3, 1, 2).first?.text == "fewer replicas in sync than min.insync.replicas, so nothing can be written: events.social")
        #expect(findings(2, 2, 2).first?.text.hasSuffix("so one broker that stops ends all writing: events.social") == true)
        #expect(findings(3, 3, 1).first?.text.hasPrefix("min.insync.replicas is 1") == true)
        #expect(findings(1, 1, 1).map(\.verdict) == [.warn])
        #expect(findings(1, 1, 1)[0].line(width: 11).hasPrefix("warn  replication  one replica only: events.social; three brokers"))
    }

    @Test func retentionIsComparedWithWhatIsRecognised() {
        let settings = KafkaSettings(brokers: "b:9092", namespace: "ns", instanceID: "test")
        func finding(_ topic: String, _ retention: String) -> Finding {
            retentionFinding(
                [KafkaTopic(name: topic, partitions: [0])], [topic: ["retention.ms": retention]], settings,
                dedupWindow: .seconds(7 * 86_400))
        }
        #expect(finding("ns.events.social", "604800000").isWell)
        let long = finding("ns.notifications.low", "604800001")
        #expect(!long.isWell && long.text.hasPrefix("ns.notifications.low keeps records for 7.0") && long.text.hasSuffix("(DEDUP_WINDOW)"))
        #expect(finding("ns.push.high", "-1").text.contains("keeps records for ever"))
        // Dead letters are for people, and another's topics are another's.
        #expect(finding("ns.events.dlq", "-1").isWell && finding("events.social", "-1").isWell)
    }

    @Test func aServiceWithoutADependencyIsNotWell() {
        let body = #"{"ready":true,"dependencies":{"kafka":{"up":true},"redis":{"up":false,"reason":"it is full"}}}"#
        let answer = HTTPClientResponse(status: 200, headers: [], body: Array(body.utf8))
        let finding = ServiceExamination.finding("gateway", "http://a:1", answer)
        #expect(finding == .fail("gateway", "http://a:1: redis is down for it: it is full", "mend redis"))
        let well = HTTPClientResponse(status: 200, headers: [], body: Array(#"{"ready":true,"dependencies":{}}"#.utf8))
        #expect(ServiceExamination.finding("gateway", "http://a:1", well) == .ok("gateway", "ready at http://a:1"))
    }

    /// The edge takes the event, and nothing of it comes to the inbox.
    @Test func aCanaryThatDoesNotComeBackIsMissed() async throws {
        func answer(_ status: String, _ body: String) -> String {
            "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        let inbox = answer("200 OK", #"{"cursor":"1.7-0","notifications":[]}"#)
        let edge = try await ScriptedEdge([inbox, answer("202 Accepted", "{}")] + Array(repeating: inbox, count: 100))
        defer { edge.loop.stop() }
        let loop = EventLoop(name: "doctor")
        loop.start()
        defer { loop.stop() }
        let environment = Environment(["TOKEN_SECRET": secret, "API_KEY": "0123456789abcdef"])
        let credentials = try DoctorCredentials(ControlSettings(environment: environment))
        let url = try #require(ServiceURL("http://127.0.0.1:\(edge.port)", ports: ["http": 80]))
        let finding = await Canary(loop: loop, url: url, credentials: credentials, patience: .seconds(1)).fly("social.like")
        #expect(finding.verdict == .fail && finding.text == "a social.like was accepted, and is not in the inbox after 1 s")
        #expect(finding.remedy?.contains("lag of carillon-notification-service") == true)
        let requests = edge.requests.withLock { $0 }
        try #require(requests.count > 2, "\(finding)")
        #expect(requests[1].hasPrefix("POST /v1/events ") && requests[2].hasPrefix("GET /v1/inbox?limit=1000&after=1.7-0 "))
    }

    @Test func missingTopicsComeWithTheLineThatMakesThem() {
        let settings = KafkaSettings(brokers: "b:9092", namespace: "ns", instanceID: "test")
        let findings = topicFindings([KafkaTopic(name: "ns.events.social", partitions: [0])], settings)
        #expect(findings[0] == .ok("topics events.*", "events.social"))
        #expect(findings[1].remedy == "kafka-topics.sh --bootstrap-server b:9092 --create --topic ns.notifications.high --partitions 8")
    }

    @Test func topicsThatThePoliciesLeadToAreCompared() {
        func finding(_ missing: [String], _ value: String?) -> Finding {
            policyTopicFinding(["events.a", "events.b"], missing: missing, creation: TopicCreation(value), brokers: "kafka:9092")
        }
        #expect(finding([], nil) == .ok("topics of policies", "2 are there"))
        #expect(finding(["events.b"], "true") == .ok("topics of policies", "made by their first event: events.b"))
        #expect(finding(["events.b"], nil).isWell)
        let fails = finding(["events.b"], "false")
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
        let found = operationsURLs([
            "OPERATIONS_FANOUT_WORKER": "http://a:1 http://a:2", "OPERATIONS_PORT": "9000", "OPERATIONS_ADDRESS": "::1",
        ])
        #expect(found.count == 1 && found[0].name == "fanout-worker" && found[0].urls == ["http://a:1", "http://a:2"])
    }
}
