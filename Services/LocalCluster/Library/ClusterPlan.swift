internal import Settings

/// What is only known once the servers run.
public struct ClusterAddresses: Equatable, Sendable {
    public var kafkaBrokers: String
    /// `APNS_URL`, `APNS_CA_FILE`, … as the stand-in wrote them.
    public var apns: [String: String]

    public init(kafkaBrokers: String = "", apns: [String: String] = [:]) {
        self.kafkaBrokers = kafkaBrokers
        self.apns = apns
    }
}

/// The whole cluster, worked out before anything is started: who runs, where, with which settings.
public struct ClusterPlan: Sendable {
    public static let host = "127.0.0.1"
    /// Where the edge listens too, for what a browser or a tool makes of `localhost`.
    static let host6 = "::1"
    /// What only those services are told that check tokens, or API keys.
    static let secrets: Set<String> = ["TOKEN_SECRET", "API_KEY"]
    private static let tokenReaders: Set<ServiceName> = [.gateway, .pushService]
    private static let keyReaders: Set<ServiceName> = [.gateway, .notificationService, .fanoutWorker, .presenceService]
    /// Enough for several workers, few enough for one machine.
    public static let partitions = 8

    /// A service's instance and its two ports.
    public struct Instance: Equatable, Sendable {
        public var service: ServiceName
        /// From 1.
        public var number: Int
        public var port: Int
        public var operationsPort: Int

        public var name: String { "\(service.rawValue)-\(number)" }
        public var url: String { "http://\(ClusterPlan.host):\(port)" }
        public var operationsURL: String { "http://\(ClusterPlan.host):\(operationsPort)" }
    }

    public let settings: ClusterSettings
    /// The folder of the binaries, this one among them.
    public let binaries: String
    /// The folder of the sources: `deploy/` and `Tests/StandIns`.
    public let root: String
    public let instances: [Instance]
    public let edgePort: Int
    let listensOnIPv6: Bool
    let redisPort: Int
    let kafkaPort: Int
    let kafkaControlPort: Int
    let apnsPort: Int
    let apnsPlainPort: Int

    /// `takePort` hands out free ports, none twice. The folder of `settings` must be absolute.
    public init(
        settings: ClusterSettings, binaries: String, root: String, listensOnIPv6: Bool = false, takePort: () throws(ClusterError) -> Int
    ) throws(ClusterError) {
        self.settings = settings
        self.binaries = binaries
        self.root = root
        self.listensOnIPv6 = listensOnIPv6
        edgePort = settings.edgePort == 0 ? try takePort() : settings.edgePort
        redisPort = try takePort()
        kafkaPort = try takePort()
        kafkaControlPort = try takePort()
        apnsPort = try takePort()
        apnsPlainPort = try takePort()
        var instances: [Instance] = []
        for service in ServiceName.allCases {
            for number in 1...max(1, settings.count(service)) {
                instances.append(Instance(service: service, number: number, port: try takePort(), operationsPort: try takePort()))
            }
        }
        self.instances = instances
    }

    public var edgeURL: String { "http://\(Self.host):\(edgePort)" }
    public var redisURL: String { "redis://\(Self.host):\(redisPort)" }
    public var apnsReceivedURL: String { "http://\(Self.host):\(apnsPlainPort)/received" }
    public var redisFolder: String { settings.folder + "/redis" }
    public var brokerFolder: String { settings.folder + "/kafka" }
    public var apnsFolder: String { settings.folder + "/apns" }
    public var logFolder: String { settings.folder + "/logs" }
    public var apnsFile: String { apnsFolder + "/apns.env" }
    /// Where `carillon-local broker` writes its address.
    public var mockFile: String { settings.folder + "/broker.address" }
    public var edgeFile: String { settings.folder + "/edge-servers.cfg" }
    public var edgeTemplates: String { root + "/deploy/edge" }
    public var environmentFile: String { settings.folder + "/cluster.env" }
    public var usesMock: Bool { settings.broker == .mock }

    public func instances(of service: ServiceName) -> [Instance] { instances.filter { $0.service == service } }

    // MARK: Servers

    public var redis: MemberPlan {
        MemberPlan(
            // It holds its folder as long as it lives: one that was left behind by a kill ends first.
            name: "redis", stage: .servers, executable: "flock",
            arguments: [
                "--no-fork", redisFolder + "/lock", "redis-server", "--port", "\(redisPort)", "--bind", Self.host, "--dir", redisFolder,
                "--save", "", "--appendonly", "yes",
                "--appendfsync", "always", "--maxmemory-policy", "noeviction",
            ], probe: .redis(port: redisPort))
    }

    /// `nil` where the broker runs already.
    public var broker: MemberPlan? {
        switch settings.broker {
        case .running: nil
        case .mock:
            MemberPlan(
                name: "broker", stage: .servers, executable: binaries + "/carillon-local", arguments: ["broker", mockFile],
                probe: .file(mockFile))
        case .distribution(let home):
            MemberPlan(
                name: "broker", stage: .servers, executable: home + "/bin/kafka-server-start.sh", arguments: [kafkaPropertiesFile],
                environment: ["LOG_DIR": brokerFolder, "KAFKA_HEAP_OPTS": settings.brokerHeap], probe: .kafka(port: kafkaPort))
        }
    }

    public var kafkaPropertiesFile: String { brokerFolder + "/server.properties" }
    public var kafkaAddress: String { "\(Self.host):\(kafkaPort)" }

    /// One node that is broker and controller; Kafka makes topics that nobody made, as `kcat` to a new one expects.
    public var kafkaProperties: String {
        """
        process.roles=broker,controller
        node.id=1
        controller.quorum.voters=1@\(Self.host):\(kafkaControlPort)
        listeners=PLAINTEXT://\(kafkaAddress),CONTROLLER://\(Self.host):\(kafkaControlPort)
        advertised.listeners=PLAINTEXT://\(kafkaAddress)
        controller.listener.names=CONTROLLER
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
        log.dirs=\(brokerFolder)/data
        num.partitions=\(Self.partitions)
        auto.create.topics.enable=true
        offsets.topic.replication.factor=1
        offsets.topic.num.partitions=8
        transaction.state.log.replication.factor=1
        transaction.state.log.min.isr=1
        transaction.state.log.num.partitions=8
        share.coordinator.state.topic.replication.factor=1
        share.coordinator.state.topic.min.isr=1
        group.initial.rebalance.delay.ms=0

        """
    }

    public var standIn: MemberPlan {
        MemberPlan(
            name: "apns", stage: .servers, executable: "/usr/bin/python3",
            arguments: [
                root + "/Tests/StandIns/apns", "--state", apnsFolder, "--address", Self.host, "--port", "\(apnsPort)",
                "--http-port", "\(apnsPlainPort)",
            ], environment: ["PYTHONDONTWRITEBYTECODE": "1"], probe: .http(port: apnsPlainPort, path: "/health"))
    }

    // MARK: Services and edge

    public func services(_ addresses: ClusterAddresses) -> [MemberPlan] {
        instances.map { instance in
            var environment = [
                "INSTANCE_ID": instance.name, "LISTEN_ADDRESS": Self.host, "PORT": "\(instance.port)",
                "OPERATIONS_PORT": "\(instance.operationsPort)", "REDIS_URL": redisURL, "KAFKA_BROKERS": addresses.kafkaBrokers,
                "KAFKA_MOCK": usesMock ? "true" : "false", "DEMO": "true",
            ]
            if Self.tokenReaders.contains(instance.service) { environment["TOKEN_SECRET"] = settings.tokenSecret }
            if Self.keyReaders.contains(instance.service) { environment["API_KEY"] = settings.apiKey }
            switch instance.service {
            case .notificationService, .fanoutWorker: environment["POLICIES"] = root + "/deploy/policies.yaml"
            case .pushService: environment.merge(addresses.apns) { $1 }
            // Without PUBLIC_URL a client that asked `localhost` is told to come back there, and one that came over TLS to come
            // by TLS.
            case .gateway, .presenceService: break
            }
            return MemberPlan(
                name: instance.name, stage: .services, service: instance.service,
                executable: binaries + "/" + instance.service.rawValue, environment: environment,
                probe: .http(port: instance.operationsPort, path: "/health/ready"))
        }
    }

    public var edge: MemberPlan {
        var environment = [
            "EDGE_ADDRESS": Self.host, "EDGE_PORT": "\(edgePort)", "EDGE_DIRECTORY": edgeTemplates, "DEMO": "true",
        ]
        if listensOnIPv6 { environment["EDGE_ADDRESS_6"] = Self.host6 }
        if let certificate = settings.edgeCertificate {
            environment["EDGE_CERTIFICATE"] = certificate
            environment["EDGE_TLS_PORT"] = "\(settings.edgeTLSPort)"
        }
        return MemberPlan(
            name: "edge", stage: .edge, executable: "haproxy",
            arguments: ["-db", "-f", edgeTemplates + "/haproxy.cfg", "-f", edgeFile],
            environment: environment.merging(settings.edge.environment) { own, _ in own },
            probe: .http(port: edgePort, path: "/edge/health"))
    }
}
