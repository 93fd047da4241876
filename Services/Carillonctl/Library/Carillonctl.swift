public import Foundation
internal import ServiceRuntime
internal import Settings

/// The operator's tool.
public enum Carillonctl {
    static let commands = [
        tokenCommand, produceCommand, tailCommand, deadLetterListCommand, deadLetterShowCommand, inboxAuditCommand, redisRestoredCommand,
        revokeCommand,
        doctorCommand, environmentCommand,
    ]

    /// Does what the words say, and answers the status to exit with.
    /// - Parameters:
    ///   - environment: the process's; what it does not say is taken from the nearest `.local/cluster.env`, or from `LOCAL_DIRECTORY`.
    ///   - folder: where the search for that file begins.
    public static func run(
        _ words: [String], environment: [String: String] = ProcessInfo.processInfo.environment,
        folder: String = FileManager.default.currentDirectoryPath, terminal: Terminal = .process
    ) async -> Int32 {
        switch words.first {
        case nil:
            terminal.complain(help)
            return Status.usage
        case "--help", "-h", "help":
            terminal.write(help)
            return Status.done
        case "--version":
            terminal.line("carillonctl \(Version.text)")
            return Status.done
        case "--settings":
            terminal.write(SettingsText.lines(ControlSettings.declarations))
            return Status.done
        default: break
        }
        guard let (command, rest) = command(words) else {
            let begun = commands.map(\.name).filter { $0.hasPrefix("\(words.first ?? "") ") }
            terminal.note(
                begun.isEmpty
                    ? "there is no command \(printable(words.prefix(2).joined(separator: " "))); see --help"
                    : "\(words.first ?? "") is followed by a second word: \(begun.joined(separator: ", "))")
            return Status.usage
        }
        if rest.contains("--help") || rest.contains("-h") {
            terminal.write(command.help)
            return Status.done
        }
        // A variable that is set to nothing is as good as unset, for a shell makes such of a missing one.
        let given = environment.filter { !$0.value.isEmpty }
        let whole = ClusterFile.filling(given, with: ClusterFile.nearest(from: folder, directory: given[Common.localDirectory.name]))
        return await perform(command, rest, whole, terminal)
    }

    private static func perform(
        _ command: Command, _ words: [String], _ environment: [String: String], _ terminal: Terminal
    ) async -> Int32 {
        do {
            let options = try Options(words, known: command.options)
            if command.operand == nil, let extra = options.rest.first {
                throw ControlError.usage("\(printable(extra)) is one word too many")
            }
            let settings = ControlSettings(environment: Environment(environment))
            return try await command.run(
                Invocation(options: options, settings: settings, environment: environment, terminal: terminal))
        } catch let error as ControlError {
            terminal.note("\(command.name): \(error.text)" + (error.remedy.map { "; \($0)" } ?? ""))
            if error.status == Status.usage { terminal.note("see carillonctl \(command.name) --help") }
            return error.status
        } catch {
            terminal.note("\(command.name): \(error)")
            return Status.failed
        }
    }

    private static func command(_ words: [String]) -> (Command, rest: [String])? {
        for command in commands {
            let name = command.name.split(separator: " ").map(String.init)
            if words.starts(with: name) { return (command, Array(words.dropFirst(name.count))) }
        }
        return nil
    }

    static var help: String {
        """
        The operator's tool of Carillon: it mints tokens, produces events, shows what arrives, looks into dead letters and
        checks a deployment. What the environment does not say is taken from .local/cluster.env, which `make run` writes
        (LOCAL_DIRECTORY names another folder).

        Usage: carillonctl COMMAND [options]
               carillonctl COMMAND --help | --help | --version

        Commands:
        \(Command.columns(commands.map { ($0.name, $0.summary) }))
        Environment (variable, default, meaning):
        \(SettingsText.help(ControlSettings.declarations))
        """
    }
}
