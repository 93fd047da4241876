internal import EventLoop
internal import Glibc
public import Settings

/// What every service's `Main.swift` is made of.
public enum ServiceRuntime {
    /// How a process ends.
    enum Exit {
        static let done: Int32 = 0
        static let failed: Int32 = 1
        static let usage: Int32 = 64  // EX_USAGE of sysexits.h
        static let configuration: Int32 = 78  // EX_CONFIG: to start it again would change nothing
    }

    /// Answers `--help` and `--version`; otherwise reads the settings, starts the service on a loop on this thread, and
    /// ends the process with 0 after a SIGTERM or SIGINT and a drain. A second signal ends it at once.
    /// Invalid settings are one line on standard error and status 78; a start that fails is one line and status 1.
    public static func run<Hosted: Service>(
        _ type: Hosted.Type, arguments: [String] = CommandLine.arguments, environment: Environment = .process
    ) -> Never {
        answer(arguments, type)
        raiseDescriptorLimit()
        prepareSignals()
        let loop = EventLoop(name: Hosted.name)
        let host: ServiceHost<Hosted>
        do {
            host = try ServiceHost(type, loop: loop, environment: environment)
        } catch {
            stop(Hosted.name, error.description, Exit.configuration)
        }
        // Detached: this thread, the main actor's, is the loop's from here on.
        Task.detached { await live(host) }
        loop.run()
        _exit(Exit.failed)
    }

    private static func live<Hosted: Service>(_ host: ServiceHost<Hosted>) async {
        let ended = await host.watchSignals()
        do {
            try await host.start()
        } catch let error as SettingsError {
            stop(Hosted.name, error.description, Exit.configuration)
        } catch let error as StartError {
            stop(Hosted.name, error.description, Exit.configuration)
        } catch {
            stop(Hosted.name, LogValue.text(of: error), Exit.failed)
        }
        for await _ in ended { _exit(await host.drain() ? Exit.done : Exit.failed) }
    }

    /// A write to a closed socket is an error and no signal; and the signals that end a service reach it even if whoever
    /// started it had them blocked, for a mask is inherited.
    private static func prepareSignals() {
        signal(SIGPIPE, SIG_IGN)
        var ending = sigset_t()
        sigemptyset(&ending)
        for number in [SIGTERM, SIGINT] { sigaddset(&ending, number) }
        pthread_sigmask(SIG_UNBLOCK, &ending, nil)
    }

    private static func answer<Hosted: Service>(_ arguments: [String], _ type: Hosted.Type) {
        switch arguments.dropFirst().first {
        case nil: return
        case "--version": say("\(Hosted.name) \(Version.text)\n", 1, Exit.done)
        case "--settings": say(declarations(type), 1, Exit.done)
        case "--help", "-h": say(help(type), 1, Exit.done)
        default: stop(Hosted.name, "takes no arguments but --help and --version; settings are read from the environment", Exit.usage)
        }
    }

    static func help<Hosted: Service>(_ type: Hosted.Type) -> String {
        "\(Hosted.summary)\n\nUsage: \(Hosted.name) [--help | --version]\n\nEnvironment (variable, default, meaning):\n"
            + SettingsText.help(RuntimeSettings.declarations + Hosted.Settings.declarations)
    }

    /// For `carillonctl env`.
    static func declarations<Hosted: Service>(_ type: Hosted.Type) -> String {
        SettingsText.lines(RuntimeSettings.declarations + Hosted.Settings.declarations)
    }

    private static func stop(_ name: String, _ text: String, _ status: Int32) -> Never {
        say("\(name): \(text)\n", 2, status)
    }

    private static func say(_ text: String, _ descriptor: Int32, _ status: Int32) -> Never {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count <= 0 { break }
            rest = rest.dropFirst(count)
        }
        _exit(status)
    }
}

extension ServiceHost {
    /// SIGTERM and SIGINT end the service once; a second one ends the process there and then.
    func watchSignals() -> AsyncStream<Void> {
        let (ended, end) = AsyncStream.makeStream(of: Void.self)
        var signals = 0
        for number in [SIGTERM, SIGINT] {
            loop.onSignal(number) {
                signals += 1
                if signals > 1 { _exit(ServiceRuntime.Exit.failed) }
                end.yield()
            }
        }
        return ended
    }
}
