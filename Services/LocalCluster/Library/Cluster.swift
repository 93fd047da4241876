public import EventLoop
internal import Settings

/// The whole suite on one machine: started in order, watched, and stopped in the opposite order.
public actor Cluster: LoopActor {
    public nonisolated let loop: EventLoop
    private let settings: ClusterSettings
    private let binaries: String
    private let root: String
    private let inherited: [String: String]
    private let say: @Sendable (String) -> Void
    private var members: [Member] = []
    private var plan: ClusterPlan?
    private var lock: FolderLock?
    private var addresses = ClusterAddresses()
    private var hasStarted = false
    private var isStopping = false
    /// Waits for all of a stage to be ready.
    private var waiter: CheckedContinuation<ClusterError?, Never>?
    private var waiting: Set<String> = []

    /// How long the start may take in all, the first formatting of a broker's disk included.
    private static let patience = Duration.seconds(90)
    /// A service drains within 25 s.
    private static let stopPatience = Duration.seconds(30)

    /// - Parameters:
    ///   - binaries: the folder of the services' binaries.
    ///   - root: the folder of the sources.
    ///   - inherited: this process's environment, which the members get with their own settings on top.
    ///   - say: gets each line for the terminal.
    public init(
        loop: EventLoop, settings: ClusterSettings, binaries: String, root: String, inherited: [String: String],
        say: @escaping @Sendable (String) -> Void
    ) {
        self.loop = loop
        self.settings = settings
        self.binaries = binaries
        self.root = root
        // Each member is told the secrets that it needs, and no other.
        self.inherited = inherited.filter { !ClusterPlan.secrets.contains($0.key) }
        self.say = say
    }

    // MARK: Start

    /// Starts everything and waits until it works; on an error what was started must be stopped with `stop`.
    public func start() async throws(ClusterError) {
        let plan = try makePlan()
        try Files.makeFolder(settings.folder)
        lock = try FolderLock(settings.folder)
        // Only now: what is stopped later removes this plan's files.
        self.plan = plan
        try prepareFolders(plan)
        if case .distribution(let home) = settings.broker { try await format(plan, home: home) }
        try await begin([plan.redis, plan.standIn] + (plan.broker.map { [$0] } ?? []))
        readAddresses(plan)
        if settings.broker != .mock { try await makeTopics() }
        try Files.write(edgeServers(plan), to: plan.edgeFile)
        try await begin(plan.services(addresses))
        // Behind them: an edge that has met a service before it listened finds it again only with its next check.
        try await begin([plan.edge])
        hasStarted = true
        try Files.write(environment.text, to: plan.environmentFile)
    }

    private func makePlan() throws(ClusterError) -> ClusterPlan {
        var ports = FreePorts(loop: loop)
        guard settings.edgePort == 0 || FreePorts.isFree(settings.edgePort, loop: loop) else {
            throw ClusterError(
                "port \(settings.edgePort) is taken; choose another with EDGE_PORT=… (a second `make run` needs LOCAL_DIRECTORY=… as well)")
        }
        return try ClusterPlan(
            settings: settings, binaries: binaries, root: root, listensOnIPv6: FreePorts.hasIPv6(loop: loop)
        ) { () throws(ClusterError) in try ports.take() }
    }

    private func prepareFolders(_ plan: ClusterPlan) throws(ClusterError) {
        for folder in [plan.logFolder, plan.redisFolder, plan.apnsFolder, plan.brokerFolder] { try Files.makeFolder(folder) }
        Files.remove(plan.environmentFile)
        if case .distribution = settings.broker { try Files.write(plan.kafkaProperties, to: plan.kafkaPropertiesFile) }
    }

    private func makeTopics() async throws(ClusterError) {
        let worker = WorkerThread(name: "topics")
        defer { worker.stop() }
        let (brokers, environment) = (addresses.kafkaBrokers, Environment(inherited))
        let outcome = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Int, ClusterError>, Never>) in
            worker.run {
                do {
                    continuation.resume(returning: .success(try ClusterTopics.make(brokers: brokers, environment: environment)))
                } catch {
                    continuation.resume(returning: .failure(ClusterError("the topics could not be made at \(brokers): \(error)")))
                }
            }
        }
        let count = try outcome.get()
        if count > 0 { say("  made \(count) topics") }
    }

    private func readAddresses(_ plan: ClusterPlan) {
        switch settings.broker {
        case .running(let brokers): addresses.kafkaBrokers = brokers
        case .distribution: addresses.kafkaBrokers = plan.kafkaAddress
        case .mock: addresses.kafkaBrokers = Files.read(plan.mockFile)?.split(separator: "\n").first.map(String.init) ?? ""
        }
        addresses.apns = ClusterEnvironment.read(Files.read(plan.apnsFile) ?? "")
    }

    private func edgeServers(_ plan: ClusterPlan) throws(ClusterError) -> String {
        let path = plan.edgeTemplates + "/backends.cfg.template"
        guard let template = Files.read(path) else { throw ClusterError("\(path) is not here") }
        return EdgeServers.render(template, servers: plan.edgeServers)
    }

    /// Formats the folder of a broker that is started for the first time.
    private func format(_ plan: ClusterPlan, home: String) async throws(ClusterError) {
        guard Files.read(plan.brokerFolder + "/data/meta.properties") == nil else { return }
        say("  formatting the broker's folder (once)")
        let log = plan.logFolder + "/broker-format.log"
        // Any fixed id will do: the cluster of a folder is alone.
        let command = ChildProcess.Command(
            home + "/bin/kafka-storage.sh", ["format", "-t", "Q2FyaWxsb25Mb2NhbEtSYQ", "-c", plan.kafkaPropertiesFile],
            environment: inherited.merging(["LOG_DIR": plan.brokerFolder]) { $1 })
        guard try await run(command, output: .file(log)) == .status(0) else {
            throw ClusterError("the broker's folder could not be formatted: " + Files.lastLines(log, count: 3).joined(separator: " | "))
        }
    }

    /// Runs a program to its end.
    private func run(_ command: ChildProcess.Command, output: ChildProcess.Output) async throws(ClusterError) -> ChildProcess.Exit {
        let outcome = await withCheckedContinuation { (continuation: CheckedContinuation<Result<ChildProcess.Exit, ClusterError>, Never>) in
            do {
                let process = try ChildProcess.start(loop: loop, command, standardOutput: output, standardError: output) {
                    self.command = nil
                    continuation.resume(returning: .success($0))
                }
                self.command = process
            } catch {
                continuation.resume(returning: .failure(ClusterError("\(error)")))
            }
        }
        return try outcome.get()
    }
    private var command: ChildProcess?

    /// Starts members and waits until all of them work.
    private func begin(_ plans: [MemberPlan]) async throws(ClusterError) {
        guard !isStopping else { throw ClusterError("stopped") }
        waiting = Set(plans.map(\.name))
        let error = await withCheckedContinuation { continuation in
            waiter = continuation
            let deadline = loop.timer(after: Self.patience) {
                let late = self.waiting.sorted().joined(separator: ", ")
                self.settle(
                    ClusterError("not ready after \(Self.patience.components.seconds) s: \(late); see \(self.plan?.logFolder ?? "")"))
            }
            startDeadline = deadline
            for plan in plans {
                let member = Member(plan, loop: loop, logFolder: self.plan?.logFolder ?? "", inherited: inherited)
                member.onEvent = { self.happened($0, member) }
                members.append(member)
                member.start()
            }
        }
        if let error { throw error }
    }
    private var startDeadline: LoopTimer?

    private func settle(_ error: ClusterError?) {
        startDeadline?.cancel()
        startDeadline = nil
        waiter?.resume(returning: error)
        waiter = nil
    }

    // MARK: Watching

    private func happened(_ event: Member.Event, _ member: Member) {
        guard !isStopping else { return }
        switch event {
        case .ready(let again):
            waiting.remove(member.plan.name)
            if again {
                say("  \(member.plan.name) is ready again")
                if member.plan.name == "broker" { addressesMayHaveChanged() }
            } else {
                say("  \(member.plan.name) is ready")
            }
            if waiting.isEmpty { settle(nil) }
        case .died(let exit, let delay):
            say("  " + RestartPolicy.line(member.plan.name, exit, delay: delay))
        case .failed(let reason):
            let lines = Files.lastLines(member.logFile, count: 5).map { "\n    \($0)" }.joined()
            settle(ClusterError("\(member.plan.name): \(reason)\(lines)\n    (\(member.logFile))"))
        }
        writeEnvironment()
    }

    /// The mock chooses other ports at each start. A member that was told the old ones is started again with the new ones.
    private func addressesMayHaveChanged() {
        guard let plan, hasStarted else { return }
        readAddresses(plan)
        let plans = Dictionary(uniqueKeysWithValues: plan.services(addresses).map { ($0.name, $0) })
        for member in members {
            if let renewed = plans[member.plan.name] { member.renew(renewed) }
        }
    }

    private func writeEnvironment() {
        guard hasStarted, !isStopping, let plan else { return }
        do {
            try Files.write(environment.text, to: plan.environmentFile)
        } catch {
            say("  \(error)")
        }
    }

    /// What scripts need to know, as things stand.
    public var environment: ClusterEnvironment {
        var environment = ClusterEnvironment()
        guard let plan else { return environment }
        let pids = Dictionary(members.map { ($0.plan.name, $0.pid) }) { $1 }
        environment.edgeURL = plan.edgeURL
        environment.gatewayURLs = plan.instances(of: .gateway).map(\.url)
        environment.kafkaBrokers = addresses.kafkaBrokers
        environment.kafkaMock = plan.usesMock
        environment.redisURL = plan.redisURL
        environment.tokenSecret = settings.tokenSecret
        environment.apiKey = settings.apiKey
        environment.apnsURL = addresses.apns["APNS_URL"] ?? ""
        environment.apnsCAFile = addresses.apns["APNS_CA_FILE"] ?? ""
        environment.apnsReceivedURL = plan.apnsReceivedURL
        environment.services = ServiceName.allCases.map { service in
            let instances = plan.instances(of: service)
            return ClusterEnvironment.Service(
                name: service, pids: instances.compactMap { pids[$0.name] ?? nil }, operations: instances.map(\.operationsURL))
        }
        environment.redisPID = pids["redis"] ?? nil
        environment.kafkaPID = pids["broker"] ?? nil
        return environment
    }

    /// For the screen; empty before the start.
    public var brokerWords: String {
        switch settings.broker {
        case .mock: "librdkafka's mock broker (in memory)"
        case .distribution(let home): "Kafka from \(home)"
        case .running(let brokers): "the brokers \(brokers)"
        }
    }

    // MARK: Running something on it

    /// Runs a program with the cluster's environment, on this terminal.
    public func run(_ words: [String]) async throws(ClusterError) -> ChildProcess.Exit {
        guard let program = words.first, !isStopping else { throw ClusterError("stopped") }
        var variables = inherited
        for (name, value) in environment.pairs { variables[name] = value }
        variables["CLUSTER_ENV"] = plan?.environmentFile
        return try await run(ChildProcess.Command(program, Array(words.dropFirst()), environment: variables), output: .inherited)
    }

    // MARK: Stop

    /// Stops everything, the edge first and the servers last. A second call kills what is left.
    public func stop() async {
        if isStopping {
            for member in members { member.kill() }
            return
        }
        isStopping = true
        settle(ClusterError("stopped"))
        command?.kill(Signal.terminate, descendants: true)
        for stage in Stage.allCases.reversed() {
            let leaving = members.filter { $0.plan.stage == stage && $0.pid != nil }
            guard !leaving.isEmpty else { continue }
            say("  stopping \(leaving.map(\.plan.name).joined(separator: ", "))")
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                var left = leaving.count
                for member in leaving {
                    member.stop(patience: Self.stopPatience) {
                        left -= 1
                        if left == 0 { continuation.resume() }
                    }
                }
            }
        }
        if let plan { Files.remove(plan.environmentFile) }
    }
}
