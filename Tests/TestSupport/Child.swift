internal import CUV
internal import EventLoop
internal import Foundation

/// A program that a test started. It inherits no descriptor, so that none of a test's pipes is held open by another test's
/// server, and it ends with the tests, however they end.
///
/// Foundation's `Process` does neither: children that are started at the same time inherit each other's, and wait for each other.
public final class Child: @unchecked Sendable {
    // @unchecked: a test holds it and calls it from one task at a time.

    public struct NotStarted: Error {}

    public let processIdentifier: Int32
    /// As `waitpid` gave it, once it has ended.
    private var status: Int32?

    /// The kernel ends a child together with the thread that made it: so one thread makes them all, and never ends.
    private static let spawner = WorkerThread(name: "spawner")

    /// - Parameters:
    ///   - environment: all of its variables; nil: those of the tests.
    ///   - output, errors: files that are overwritten; nil: nowhere.
    public convenience init(
        _ path: String, _ arguments: [String], environment: [String: String]? = nil, output: String? = nil,
        errors: String? = nil
    ) throws {
        try self.init(path, arguments, environment, errors: errors) { actions in
            posix_spawn_file_actions_addopen(&actions, 1, output ?? "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        }
    }

    private init(
        _ path: String, _ arguments: [String], _ environment: [String: String]?, errors: String?,
        _ setOutput: (inout posix_spawn_file_actions_t) -> Void
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        setOutput(&actions)
        posix_spawn_file_actions_addopen(&actions, 2, errors ?? "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        let words = ["/usr/bin/setpriv", "--pdeathsig", "KILL", path] + arguments
        let variables = (environment ?? ProcessInfo.processInfo.environment).map { "\($0.key)=\($0.value)" }
        processIdentifier = try Self.spawn(words, variables, actions)
    }

    private static func spawn(
        _ words: [String], _ variables: [String], _ actions: posix_spawn_file_actions_t
    ) throws -> pid_t {
        nonisolated(unsafe) var actions = actions  // the caller waits until the spawner is done with it
        nonisolated(unsafe) var child: pid_t = 0
        let done = DispatchSemaphore(value: 0)
        spawner.run {
            var argv = words.map { strdup($0) } + [nil]
            var envp = variables.map { strdup($0) } + [nil]
            if posix_spawn(&child, words[0], &actions, nil, &argv, &envp) != 0 { child = 0 }
            for string in argv + envp { free(string) }
            done.signal()
        }
        done.wait()
        guard child > 0 else { throw NotStarted() }
        return child
    }

    deinit { end() }

    /// Runs a program to its end and answers what it wrote to its standard output.
    public static func output(of path: String, _ arguments: [String]) throws -> [UInt8] {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw NotStarted() }
        let child: Child
        do {
            defer { close(ends[1]) }
            child = try Child(path, arguments, nil, errors: nil) { posix_spawn_file_actions_adddup2(&$0, ends[1], 1) }
        } catch {
            close(ends[0])
            throw error
        }
        let reader = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
        let data = reader.readDataToEndOfFile()
        child.wait()
        return Array(data)
    }

    /// False once it has ended.
    public var isRunning: Bool {
        if status == nil {
            var ended: Int32 = 0
            if waitpid(processIdentifier, &ended, WNOHANG) == processIdentifier { status = ended }
        }
        return status == nil
    }

    /// Its exit status, or 128 and the signal that ended it; nil while it runs.
    public var exitStatus: Int32? {
        guard !isRunning, let status else { return nil }
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + status & 0x7F
    }

    public func signal(_ number: Int32) {
        if isRunning { kill(processIdentifier, number) }
    }

    /// Waits for its end.
    public func wait() {
        while status == nil {
            var ended: Int32 = 0
            if waitpid(processIdentifier, &ended, 0) == processIdentifier { status = ended } else if errno != EINTR { return }
        }
    }

    /// Ends it at once and waits for its end.
    public func end() {
        signal(SIGKILL)
        wait()
    }
}
