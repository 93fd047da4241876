internal import EventLoop
internal import Foundation
internal import Glibc
internal import Kafka
internal import ServiceRuntime
internal import Settings
internal import Synchronization

/// The command line of `carillon-local`.
public enum LocalCommand {
    private static let usage = """
        Runs the whole of Carillon on this machine, until Ctrl-C: Redis, a broker, the edge, the five services and a stand-in
        for APNs.

        Usage: carillon-local                     start, print one screen, watch
               carillon-local run COMMAND …       start, run COMMAND with the cluster's addresses in its environment, stop
               carillon-local broker FILE         only the mock broker; its address is written to FILE; an outage
                                                  of it begins with SIGUSR1 and ends with SIGUSR2
               carillon-local topics              only make the topics that KAFKA_BROKERS lacks
               carillon-local --help | --version

        Environment (variable, default, meaning):

        """

    /// Does what the arguments say; answers the status to exit with.
    public static func main(_ arguments: [String]) async -> Int32 {
        switch arguments.first {
        case nil: return await start(then: nil)
        case "run" where arguments.count > 1: return await start(then: Array(arguments.dropFirst()))
        case "broker" where arguments.count == 2: return await broker(file: arguments[1])
        case "topics" where arguments.count == 1: return topics()
        case "--settings":
            FileHandle.standardOutput.write(Data(SettingsText.lines(ClusterSettings.declarations).utf8))
            return 0
        case "--version":
            say("carillon-local \(Version.text)")
            return 0
        case "--help", "-h":
            say(usage + SettingsText.help(ClusterSettings.declarations).dropLast())
            return 0
        default:
            complain("unknown arguments; see --help")
            return 64
        }
    }

    // MARK: The cluster

    private static func start(then command: [String]?) async -> Int32 {
        let begun = ContinuousClock.now
        let inherited = ProcessInfo.processInfo.environment
        var settings: ClusterSettings
        do {
            settings = try ClusterSettings(Environment(inherited))
        } catch {
            complain(error.description)
            return 78
        }
        // What is written holds secrets, keys and people's notifications: for this user alone.
        umask(0o077)
        let here = FileManager.default.currentDirectoryPath
        settings.folder = absolute(settings.folder, from: here)
        settings.edgeCertificate = settings.edgeCertificate.map { absolute($0, from: here) }
        let binaries = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        let loop = EventLoop(name: "local")
        loop.start()
        let cluster = Cluster(
            loop: loop, settings: settings, binaries: binaries, root: root(of: binaries) ?? here, inherited: inherited, say: say)
        let interrupted = Atomic<Bool>(false)
        let signals = await watchSignals(loop)
        let ended = AsyncStream<Int32>.makeStream()
        let work = Task.detached {
            do {
                say("Starting Carillon")
                try await cluster.start()
                guard let command else {
                    let took = (ContinuousClock.now - begun) / .seconds(1)
                    let screen = Screen(
                        environment: await cluster.environment, binaries: asCalled() ?? short(binaries, from: here),
                        folder: short(settings.folder, from: here), broker: await cluster.brokerWords, seconds: took)
                    say(screen.text)
                    return
                }
                switch try await cluster.run(command) {
                case .status(let status): ended.continuation.yield(status)
                case .signal(let signal): ended.continuation.yield(128 &+ signal)
                }
            } catch {
                complain("\(error)")
                ended.continuation.yield(1)
            }
        }
        let forward = Task.detached {
            for await _ in signals {
                // The first asks, a second one insists.
                if interrupted.exchange(true, ordering: .relaxed) { await cluster.stop() } else { ended.continuation.yield(0) }
            }
        }
        var status: Int32 = 0
        for await code in ended.stream {
            status = code
            break
        }
        if command != nil, interrupted.load(ordering: .relaxed) { status = 130 }
        say("")
        await cluster.stop()
        work.cancel()
        forward.cancel()
        say("Stopped.")
        return status
    }

    // MARK: The mock broker

    private static func broker(file: String) async -> Int32 {
        let loop = EventLoop(name: "broker")
        loop.start()
        let signals = await watchSignals(loop)
        do {
            let broker = try EmbeddedBroker()
            for topic in ClusterTopics.all { try broker.createTopic(topic.name, partitions: topic.partitions) }
            await watchOutages(loop, broker)
            try Files.write(broker.brokers + "\n", to: file)
            say("bootstrap \(broker.brokers)")
            for await _ in signals { break }
            withExtendedLifetime(broker) {}
            Files.remove(file)
            return 0
        } catch {
            complain("\(error)")
            return 1
        }
    }

    // MARK: Topics

    private static func topics() -> Int32 {
        do {
            let brokers = try Environment.process.value(Common.kafkaBrokers).map(\.description).joined(separator: ",")
            say("made \(try ClusterTopics.make(brokers: brokers, environment: .process)) topics at \(brokers)")
            return 0
        } catch {
            complain("\(error)")
            return 1
        }
    }

    // MARK: Small things

    /// Interrupts, terminations and hang-ups, as they come.
    private static func watchSignals(_ loop: EventLoop) async -> AsyncStream<Int32> {
        let (stream, continuation) = AsyncStream<Int32>.makeStream()
        await withCheckedContinuation { (ready: CheckedContinuation<Void, Never>) in
            loop.post {
                for number in [Signal.interrupt, Signal.terminate, Signal.hangup] {
                    loop.onSignal(number) { continuation.yield(number) }
                }
                ready.resume()
            }
        }
        return stream
    }

    /// Tests take the mock away and give it back; it keeps its records meanwhile.
    private static func watchOutages(_ loop: EventLoop, _ broker: EmbeddedBroker) async {
        await withCheckedContinuation { (ready: CheckedContinuation<Void, Never>) in
            loop.post {
                loop.onSignal(Signal.user1) { broker.setDown() }
                loop.onSignal(Signal.user2) { broker.setUp() }
                ready.resume()
            }
        }
    }

    /// The folder above the binaries that holds the sources.
    private static func root(of binaries: String) -> String? {
        var folder = URL(fileURLWithPath: binaries)
        for _ in 0..<6 {
            if FileManager.default.fileExists(atPath: folder.appendingPathComponent("deploy/edge/haproxy.cfg").path) { return folder.path }
            folder.deleteLastPathComponent()
        }
        return nil
    }

    /// The folder of this program as it was called, which is shorter than where it lies; `nil` if it was found on the PATH.
    private static func asCalled() -> String? {
        guard let called = CommandLine.arguments.first, let slash = called.lastIndex(of: "/") else { return nil }
        return String(called[..<slash])
    }

    private static func absolute(_ path: String, from folder: String) -> String {
        path.hasPrefix("/") ? path : folder + "/" + path
    }

    static func short(_ path: String, from folder: String) -> String {
        path.hasPrefix(folder + "/") ? String(path.dropFirst(folder.count + 1)) : path
    }

    /// Written at once: the process ends without flushing anything.
    @Sendable private static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    @Sendable private static func complain(_ text: String) {
        FileHandle.standardError.write(Data("carillon-local: \(text)\n".utf8))
    }
}
