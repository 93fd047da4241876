internal import Foundation

/// A real single-node broker (KRaft) of the distribution at `KAFKA_HOME`, in a temporary directory. Uses the official names of
/// the distribution only.
public final class KafkaBroker: @unchecked Sendable {
    // @unchecked: a test holds it and calls it from one task at a time.

    public struct NotStarted: Error {}

    /// Where a distribution is, if the tests have one.
    public static let home: String? = ProcessInfo.processInfo.environment["KAFKA_HOME"].flatMap { $0.isEmpty ? nil : $0 }

    public var port: Int { held.number }
    private let held: HeldPort
    private let heldByController: HeldPort
    private let directory: URL
    private let settings: [String]
    private var child: Child?

    public var brokers: String { "127.0.0.1:\(port)" }
    /// The listener with SASL (PLAIN) over TLS, where there is one.
    public var secured: String { "localhost:\(heldForSecured.number)" }
    /// Whom that listener lets in.
    public static let (user, password) = ("carillon", "geheim")
    /// The listener behind a slow wire, where there is one.
    public var slow: String { "127.0.0.1:\(wire?.port ?? 0)" }
    private let wire: SlowWire?
    private let certificate: TestCertificate?
    private let heldForSecured: HeldPort
    public var processIdentifier: Int32 { child?.processIdentifier ?? 0 }

    /// Starts it and waits until it answers, 4 to 5 s. Topics are made by their first use, with four partitions.
    /// - Parameters:
    ///   - certificate: of a further listener that wants SASL over TLS.
    ///   - wire: a further listener is reached through it.
    ///   - settings: of the broker, beside its own.
    public init(certificate: TestCertificate? = nil, wire: SlowWire? = nil, settings: [String] = []) throws {
        self.certificate = certificate
        self.wire = wire
        self.settings = settings
        heldForSecured = try HeldPort()
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("kafka-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        (held, heldByController) = (try HeldPort(), try HeldPort())
        if let certificate {
            let store = try [certificate.key, certificate.certificate].map { try String(contentsOfFile: $0, encoding: .utf8) }
            try store.joined().write(to: directory.appendingPathComponent("store.pem"), atomically: true, encoding: .utf8)
        }
        try properties.write(to: propertiesFile, atomically: true, encoding: .utf8)
        try run("kafka-storage.sh", ["format", "-t", "Q2FyaWxsb25UZXN0cy0tLQ", "-c", propertiesFile.path]).wait()
        try start()
    }

    deinit {
        stop(SIGKILL)
        try? FileManager.default.removeItem(at: directory)
    }

    /// Starts it (again, on the same port and data) and waits until it answers.
    public func start() throws {
        let child = try run("kafka-server-start.sh", [propertiesFile.path])
        self.child = child
        let deadline = Date() + 90
        while Date() < deadline, child.isRunning {
            let log = (try? String(contentsOf: logFile, encoding: .utf8)) ?? ""
            if log.contains("Kafka Server started") { return }
            usleep(50_000)
        }
        stop(SIGKILL)
        throw NotStarted()
    }

    /// Ends it, in order by default.
    public func stop(_ signal: Int32 = 15) {
        child?.signal(signal)
        // One that was suspended hears nothing else.
        child?.signal(SIGCONT)
        child?.wait()
        child = nil
    }

    /// Makes a topic with settings of its own, as `max.message.bytes=10000`; takes about 2 s.
    public func createTopic(_ topic: String, partitions: Int = 4, configuration: String...) throws {
        let options = configuration.flatMap { ["--config", $0] }
        try run(
            "kafka-topics.sh",
            ["--bootstrap-server", brokers, "--create", "--topic", topic, "--partitions", "\(partitions)"] + options,
            log: directory.appendingPathComponent("tool.log")
        ).wait()
    }

    /// Deletes topics; takes about 2 s.
    public func deleteTopics(_ topics: [String]) throws {
        try run(
            "kafka-topics.sh", ["--bootstrap-server", brokers, "--delete", "--topic", topics.joined(separator: "|")],
            log: directory.appendingPathComponent("tool.log")
        ).wait()
    }

    /// A quota of all producers together, a client id; takes about 2 s.
    public func limitProducers(bytesPerSecond: Int) throws {
        try run(
            "kafka-configs.sh",
            [
                "--bootstrap-server", brokers, "--alter", "--add-config", "producer_byte_rate=\(bytesPerSecond)", "--entity-type",
                "clients", "--entity-default",
            ], log: directory.appendingPathComponent("tool.log")
        ).wait()
    }

    /// Writes records without a key, each in a transaction of its own; takes about 2 s for each.
    public func produceInTransactions(_ topic: String, records: Int) throws {
        for record in 0..<records {
            try run(
                "kafka-producer-perf-test.sh",
                [
                    "--topic", topic, "--num-records", "1", "--record-size", "10", "--throughput", "-1", "--transactional-id",
                    "test-\(record)", "--transaction-duration-ms", "1", "--producer-props", "bootstrap.servers=\(brokers)",
                ], log: directory.appendingPathComponent("tool.log")
            ).wait()
        }
    }

    /// SIGSTOP: it keeps its sockets and answers nothing.
    public func suspend() { child?.signal(SIGSTOP) }
    public func resume() { child?.signal(SIGCONT) }

    private var propertiesFile: URL { directory.appendingPathComponent("server.properties") }
    private var logFile: URL { directory.appendingPathComponent("broker.log") }

    /// Starts a tool of the distribution, its output in the log.
    private func run(_ tool: String, _ arguments: [String], log: URL? = nil) throws -> Child {
        let variables = ProcessInfo.processInfo.environment.merging(["LOG_DIR": directory.path]) { $1 }
        return try Child(
            (Self.home ?? "/nowhere") + "/bin/" + tool, arguments, environment: variables, output: (log ?? logFile).path)
    }

    private var listenerOfSecured: String { certificate == nil ? "" : "SASL_SSL://\(secured)," }

    private var listenerBehindWire: String { wire.map { "SLOW://127.0.0.1:\($0.target.number)," } ?? "" }
    private var addressOfWire: String { wire == nil ? "" : "SLOW://\(slow)," }

    private var securityOfListener: String {
        guard certificate != nil else { return "" }
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return """
            sasl.enabled.mechanisms=PLAIN
            listener.name.sasl_ssl.plain.sasl.jaas.config=\(module) required user_\(Self.user)="\(Self.password)";
            listener.name.sasl_ssl.ssl.keystore.type=PEM
            listener.name.sasl_ssl.ssl.keystore.location=\(directory.path)/store.pem
            """
    }

    private var properties: String {
        """
        process.roles=broker,controller
        node.id=1
        controller.quorum.voters=1@127.0.0.1:\(heldByController.number)
        listeners=PLAINTEXT://\(brokers),\(listenerOfSecured)\(listenerBehindWire)CONTROLLER://127.0.0.1:\(heldByController.number)
        advertised.listeners=\(listenerOfSecured)\(addressOfWire)PLAINTEXT://\(brokers)
        controller.listener.names=CONTROLLER
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SLOW:PLAINTEXT
        \(securityOfListener)
        log.dirs=\(directory.path)/data
        num.partitions=4
        auto.create.topics.enable=true
        offsets.topic.replication.factor=1
        offsets.topic.num.partitions=4
        transaction.state.log.replication.factor=1
        transaction.state.log.min.isr=1
        transaction.state.log.num.partitions=4
        group.initial.rebalance.delay.ms=0
        \(settings.joined(separator: "\n"))
        """
    }
}
