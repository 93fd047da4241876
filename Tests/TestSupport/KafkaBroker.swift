internal import Foundation

/// A real single-node broker (KRaft) of the distribution at `KAFKA_HOME`, in a temporary directory, on ports below those
/// that the kernel gives to outgoing connections. Uses the official names of the distribution only.
public final class KafkaBroker: @unchecked Sendable {
    // @unchecked: a test holds it and calls it from one task at a time.

    public struct NotStarted: Error {}

    /// Where a distribution is, if the tests have one.
    public static let home: String? = ProcessInfo.processInfo.environment["KAFKA_HOME"].flatMap { $0.isEmpty ? nil : $0 }

    public private(set) var port = 0
    private var controllerPort = 0
    private let directory: URL
    private var child: pid_t = 0
    private var guardian: pid_t = 0
    private var guardPipe: Int32 = -1

    public var brokers: String { "127.0.0.1:\(port)" }
    public var processIdentifier: Int32 { child }

    /// Starts it and waits until it answers, 4 to 5 s. Topics are made by their first use, with four partitions.
    public init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("kafka-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for _ in 0..<3 {
            (port, controllerPort) = (Self.freeLowPort(), Self.freeLowPort())
            try? FileManager.default.removeItem(at: directory.appendingPathComponent("data"))
            try properties.write(to: propertiesFile, atomically: true, encoding: .utf8)
            Self.waitForEnd(
                try run("kafka-storage.sh", ["format", "-t", "Q2FyaWxsb25UZXN0cy0tLQ", "-c", propertiesFile.path]))
            // Another process may have taken a port in between: then others will do.
            if (try? start()) != nil { return }
        }
        throw NotStarted()
    }

    deinit {
        stop(SIGKILL)
        try? FileManager.default.removeItem(at: directory)
    }

    /// Starts it (again, on the same port and data) and waits until it answers.
    public func start() throws {
        child = try run("kafka-server-start.sh", [propertiesFile.path])
        let deadline = Date() + 30
        while Date() < deadline, isRunning {
            let log = (try? String(contentsOf: logFile, encoding: .utf8)) ?? ""
            if log.contains("Kafka Server started") { return guardChild() }
            usleep(50_000)
        }
        stop(SIGKILL)
        throw NotStarted()
    }

    /// Ends it, in order by default.
    public func stop(_ signal: Int32 = 15) {
        guard isRunning else { return }
        kill(child, signal)
        // One that was suspended hears nothing else.
        kill(child, SIGCONT)
        Self.waitForEnd(child)
        child = 0
        endGuard()
    }

    /// Makes a topic with settings of its own, as `max.message.bytes=10000`; takes about 2 s.
    public func createTopic(_ topic: String, partitions: Int = 4, configuration: String...) throws {
        let options = configuration.flatMap { ["--config", $0] }
        Self.waitForEnd(
            try run(
                "kafka-topics.sh",
                ["--bootstrap-server", brokers, "--create", "--topic", topic, "--partitions", "\(partitions)"] + options,
                log: directory.appendingPathComponent("tool.log")))
    }

    /// SIGSTOP: it keeps its sockets and answers nothing.
    public func suspend() { kill(child, SIGSTOP) }
    public func resume() { kill(child, SIGCONT) }

    private var propertiesFile: URL { directory.appendingPathComponent("server.properties") }
    private var logFile: URL { directory.appendingPathComponent("broker.log") }

    /// Starts a tool of the distribution, its output in the log, with no descriptor of this process but its own.
    private func run(_ tool: String, _ arguments: [String], log: URL? = nil) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, (log ?? logFile).path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        for descriptor in Int32(3)..<256 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        let path = (Self.home ?? "/nowhere") + "/bin/" + tool
        var environment = ProcessInfo.processInfo.environment
        environment["LOG_DIR"] = directory.path
        var argv = ([path] + arguments).map { strdup($0) } + [nil]
        var envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for string in argv + envp { free(string) } }
        var child: pid_t = 0
        guard posix_spawn(&child, path, &actions, nil, &argv, &envp) == 0 else { throw NotStarted() }
        return child
    }

    private static func waitForEnd(_ child: pid_t) {
        var status: Int32 = 0
        while waitpid(child, &status, 0) == -1, errno == EINTR {}
    }

    /// A shell that waits for the end of this process, however that comes, and then ends the broker and removes its folder.
    private func guardChild() {
        var ends: (Int32, Int32) = (-1, -1)
        _ = withUnsafeMutablePointer(to: &ends) { $0.withMemoryRebound(to: Int32.self, capacity: 2) { pipe($0) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for end in [ends.0, ends.1] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        for descriptor in Int32(3)..<256 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        posix_spawn_file_actions_adddup2(&actions, ends.0, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        let script = "cat >/dev/null; kill -9 \(child); rm -rf '\(directory.path)'"
        let words: [String] = ["/bin/sh", "-c", script]
        var argv = words.map { strdup($0) } + [nil]
        defer { for string in argv { free(string) } }
        posix_spawn(&guardian, "/bin/sh", &actions, nil, &argv, nil)
        close(ends.0)
        guardPipe = ends.1
    }

    private func endGuard() {
        guard guardian > 0 else { return }
        kill(guardian, SIGKILL)
        Self.waitForEnd(guardian)
        close(guardPipe)
        guardian = 0
    }

    /// False once it has ended, which is then noted.
    private var isRunning: Bool {
        guard child > 0 else { return false }
        var status: Int32 = 0
        if waitpid(child, &status, WNOHANG) == 0 { return true }
        child = 0
        return false
    }

    private var properties: String {
        """
        process.roles=broker,controller
        node.id=1
        controller.quorum.voters=1@127.0.0.1:\(controllerPort)
        listeners=PLAINTEXT://\(brokers),CONTROLLER://127.0.0.1:\(controllerPort)
        advertised.listeners=PLAINTEXT://\(brokers)
        controller.listener.names=CONTROLLER
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
        log.dirs=\(directory.path)/data
        num.partitions=4
        auto.create.topics.enable=true
        offsets.topic.replication.factor=1
        offsets.topic.num.partitions=4
        transaction.state.log.replication.factor=1
        transaction.state.log.min.isr=1
        transaction.state.log.num.partitions=4
        group.initial.rebalance.delay.ms=0
        """
    }

    private static func freeLowPort() -> Int {
        for _ in 0..<100 {
            let port = Int.random(in: 20_000..<32_000)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            address.sin_port = UInt16(port).bigEndian
            let isFree = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
            if isFree { return port }
        }
        return 0
    }
}
