import EventLoop
import Settings
import Testing

@testable import LocalCluster

private func settings(_ environment: [String: String] = [:]) throws -> ClusterSettings {
    var settings = try ClusterSettings(Environment(environment))
    settings.folder = "/data"
    return settings
}

private func plan(_ environment: [String: String] = [:]) throws -> ClusterPlan {
    var port = 20_000
    return try ClusterPlan(settings: settings(environment), binaries: "/bin", root: "/src") { () throws(ClusterError) in
        port += 1
        return port
    }
}

@Suite struct ClusterSettingsTests {
    @Test func withoutAnythingOneOfEachOnTheMock() throws {
        let settings = try settings()
        #expect(settings.edgePort == 8080)
        #expect(settings.broker == .mock)
        #expect(ServiceName.allCases.allSatisfy { settings.count($0) == 1 })
        #expect(settings.tokenSecret == "carillon-demo-token-secret-0000000")
    }

    @Test func countsAndBrokersAreRead() throws {
        let settings = try settings(["GATEWAYS": "3", "FANOUT_WORKERS": "2", "KAFKA_HOME": "/kafka"])
        #expect(settings.count(.gateway) == 3)
        #expect(settings.count(.fanoutWorker) == 2)
        #expect(settings.broker == .distribution(home: "/kafka"))
    }

    @Test func aRunningBrokerGoesBeforeADistribution() throws {
        #expect(try settings(["KAFKA_HOME": "/kafka", "KAFKA_BROKERS": "b:9092"]).broker == .running("b:9092"))
        #expect(try settings(["KAFKA_HOME": "", "KAFKA_BROKERS": ""]).broker == .mock)
    }

    @Test(arguments: ["0", "17", "three", "-1"]) func aCountOutOfBoundsIsOneClearLine(_ count: String) {
        do {
            _ = try ClusterSettings(Environment(["GATEWAYS": count]))
            Issue.record("\(count) was taken")
        } catch {
            #expect(error.description.hasPrefix("GATEWAYS: "))
        }
    }
}

@Suite struct ClusterPlanTests {
    @Test func everyPortIsUsedOnce() throws {
        let plan = try plan(["GATEWAYS": "3"])
        let ports = plan.instances.flatMap { [$0.port, $0.operationsPort] } + [plan.edgePort, plan.redisPort, plan.kafkaPort]
        #expect(Set(ports).count == ports.count)
        #expect(plan.edgePort == 8080)
        #expect(plan.instances(of: .gateway).map(\.name) == ["gateway-1", "gateway-2", "gateway-3"])
    }

    @Test func anEdgePortOfZeroIsAFreeOne() throws {
        #expect(try plan(["EDGE_PORT": "0"]).edgePort == 20_001)
    }

    @Test func withACertificateTheEdgeSpeaksTLSAndTheRequestTellsByWhichDoor() throws {
        let plain = try plan([:])
        #expect(plain.edge.environment["EDGE_CERTIFICATE"] == nil)
        #expect(plain.services(ClusterAddresses()).first { $0.name == "gateway-1" }?.environment["PUBLIC_URL"] == nil)
        let secure = try plan(["EDGE_CERTIFICATE": "/tmp/edge.pem", "EDGE_TLS_PORT": "9443"])
        #expect(secure.edge.environment["EDGE_CERTIFICATE"] == "/tmp/edge.pem")
        #expect(secure.edge.environment["EDGE_TLS_PORT"] == "9443")
        #expect(secure.services(ClusterAddresses()).first { $0.name == "gateway-1" }?.environment["PUBLIC_URL"] == nil)
    }

    @Test func aServiceIsToldWhoItIsAndWhereTheServersAre() throws {
        let plan = try plan(["GATEWAYS": "2"])
        let members = plan.services(ClusterAddresses(kafkaBrokers: "k:1", apns: ["APNS_URL": "https://a"]))
        let second = try #require(members.first { $0.name == "gateway-2" })
        #expect(second.executable == "/bin/gateway")
        #expect(second.environment["INSTANCE_ID"] == "gateway-2")
        #expect(second.environment["KAFKA_BROKERS"] == "k:1")
        #expect(second.environment["KAFKA_MOCK"] == "true")
        #expect(second.environment["DEMO"] == "true")
        #expect(second.environment["APNS_URL"] == nil)
        #expect(members.first { $0.service == .pushService }?.environment["APNS_URL"] == "https://a")
    }

    @Test func redisLosesNothing() throws {
        let words = try plan().redis.arguments.joined(separator: " ")
        #expect(words.contains("--appendonly yes --appendfsync always --maxmemory-policy noeviction"))
    }

    @Test func aSecretIsToldToThoseWhoCheckIt() throws {
        let plan = try plan()
        func told(_ name: String) -> [ServiceName] {
            plan.services(ClusterAddresses()).filter { $0.environment[name] != nil }.compactMap(\.service)
        }
        #expect(told("TOKEN_SECRET") == [.gateway, .pushService])
        #expect(told("API_KEY") == [.gateway, .notificationService, .fanoutWorker, .presenceService])
        for member in [plan.redis, plan.standIn, plan.edge] + [plan.broker].compactMap({ $0 }) {
            #expect(ClusterPlan.secrets.isDisjoint(with: member.environment.keys), "\(member.name)")
        }
    }

    @Test func theEdgeListensOnIPv6WhereThatIs() throws {
        #expect(try plan().edge.environment["EDGE_ADDRESS_6"] == nil)
        var port = 20_000
        let both = try ClusterPlan(settings: settings(), binaries: "/bin", root: "/src", listensOnIPv6: true) { () throws(ClusterError) in
            port += 1
            return port
        }
        #expect(both.edge.environment["EDGE_ADDRESS_6"] == "::1")
    }

    @Test func theBrokerIsWhatWasChosen() throws {
        #expect(try plan().broker?.arguments.first == "broker")
        #expect(try plan(["KAFKA_BROKERS": "b:9092"]).broker == nil)
        let real = try plan(["KAFKA_HOME": "/kafka"])
        #expect(real.broker?.executable == "/kafka/bin/kafka-server-start.sh")
        #expect(real.kafkaProperties.contains("num.partitions=8\n"))
        #expect(real.services(ClusterAddresses()).allSatisfy { $0.environment["KAFKA_MOCK"] == "false" })
    }

    @Test func theEdgeHasAllInstances() throws {
        let template =
            "backend gateway\n    @SERVERS gateway@\nbackend streams\n  @TRACKED gateway@\nbackend none\n    @SERVERS nobody@\n# @SERVERS x@ y"
        #expect(
            EdgeServers.render(template, servers: try plan(["GATEWAYS": "2"]).edgeServers) == """
                backend gateway
                    server gateway-1 127.0.0.1:20006 check
                    server gateway-2 127.0.0.1:20008 check
                backend streams
                  server gateway-1 127.0.0.1:20006 track gateway/gateway-1
                  server gateway-2 127.0.0.1:20008 track gateway/gateway-2
                backend none
                # @SERVERS x@ y
                """)
    }
}

@Suite struct ClusterEnvironmentTests {
    @Test func linesCanBeSourcedAndReadBack() {
        var environment = ClusterEnvironment()
        environment.edgeURL = "http://127.0.0.1:8080"
        environment.gatewayURLs = ["http://a", "http://b"]
        environment.tokenSecret = "it's $HOME \\ \"q\""
        environment.services = [.init(name: .notificationService, pids: [12, 13], operations: ["http://o1", "http://o2"])]
        environment.redisPID = 7
        let text = environment.text
        #expect(text.contains("GATEWAY_URLS='http://a http://b'\n"))
        #expect(text.contains("NOTIFICATION_SERVICE_PIDS='12 13'\n"))
        #expect(text.contains("OPERATIONS_NOTIFICATION_SERVICE='http://o1 http://o2'\n"))
        #expect(text.contains("REDIS_PID='7'\nKAFKA_PID=''\n"))
        #expect(text.contains(#"TOKEN_SECRET='it'\''s $HOME \ "q"'"#))
        #expect(ClusterEnvironment.read(text)["TOKEN_SECRET"] == environment.tokenSecret)
    }

    @Test func whatIsNoLineIsPassedOver() {
        #expect(ClusterEnvironment.read("# nothing\n\nA=b\nC='d e'\nF=\\") == ["A": "b", "C": "d e", "F": "\\"])
    }
}

@Suite struct RestartPolicyTests {
    @Test func aSecondThenLongerWhileItDoesNotGetReady() {
        var policy = RestartPolicy()
        #expect((0..<7).map { _ in policy.ended() } == [1, 2, 4, 8, 16, 30, 30].map { .seconds($0) })
        policy.becameReady()
        #expect(policy.ended() == .seconds(1))
    }

    @Test func theLineSaysWhoAndWhy() {
        #expect(
            RestartPolicy.line("gateway-2", .signal(9), delay: .seconds(1))
                == "gateway-2 died (signal 9); it is started again in 1 s")
    }
}

@Suite struct ScreenTests {
    @Test func itsLinesNameTheCluster() {
        var environment = ClusterEnvironment()
        environment.edgeURL = "http://127.0.0.1:8080"
        environment.kafkaBrokers = "127.0.0.1:1,127.0.0.1:2"
        environment.apiKey = "carillon-demo-key"
        let text = Screen(environment: environment, binaries: ".build/release", folder: ".local", broker: "it", seconds: 8.26).text
        #expect(text.contains("after 8.3 s"))
        #expect(text.contains("kcat -P -b 127.0.0.1:1 -t events.social"))
        #expect(text.contains(".build/release/carillonctl tail --user bob"))
        #expect(text.split(separator: "\n").count <= 24)
        let second = Screen(environment: environment, binaries: ".build/release", folder: "/tmp/two", broker: "it", seconds: 8.26).text
        #expect(second.contains("LOCAL_DIRECTORY='/tmp/two' .build/release/carillonctl tail --user bob"))
    }
}
