internal import Foundation

/// A real `redis-server` on a free port of loopback, durable (`appendfsync always`), in a temporary directory.
public final class RedisServer: @unchecked Sendable {
    // @unchecked: a test holds it and calls it from one task at a time.

    public struct NotStarted: Error {}

    public var port: Int { held.number }
    private let held: HeldPort
    private let directory: URL
    private let options: [String]
    private var child: Child?

    public var processIdentifier: Int32 { child?.processIdentifier ?? 0 }

    public var url: String { "redis://127.0.0.1:\(port)" }

    /// Starts it and waits until it answers.
    /// - Parameter options: further arguments of `redis-server`, `--requirepass` and its value, say.
    public init(options: [String] = []) throws {
        self.options = options
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("redis-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        held = try HeldPort()
        try start()
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: directory)
    }

    /// Starts it (again, on the same port and data) and waits until it answers.
    public func start() throws {
        let child = try Child(
            "/usr/bin/redis-server",
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--dir", directory.path, "--appendonly", "yes",
                "--appendfsync", "always", "--save", "", "--logfile", directory.appendingPathComponent("log").path,
            ] + options)
        self.child = child
        let deadline = Date() + 60
        while Date() < deadline, child.isRunning {
            if answers() { return }
            usleep(5_000)
        }
        stop()
        throw NotStarted()
    }

    /// Ends it with SIGKILL.
    public func stop() {
        child?.end()
        child = nil
    }

    /// Ends it, keeps what it has on disk as `name`, and starts it again.
    public func keep(as name: String) throws {
        stop()
        let copy = directory.appendingPathComponent(name)
        try? FileManager.default.removeItem(at: copy)
        try FileManager.default.copyItem(at: directory.appendingPathComponent("appendonlydir"), to: copy)
        try start()
    }

    /// Ends it, and starts it again with what was kept: an older state than it had.
    public func restore(_ name: String) throws {
        stop()
        let data = directory.appendingPathComponent("appendonlydir")
        try FileManager.default.removeItem(at: data)
        try FileManager.default.copyItem(at: directory.appendingPathComponent(name), to: data)
        try start()
    }

    /// SIGSTOP: it keeps its sockets and answers nothing.
    public func suspend() { child?.signal(SIGSTOP) }
    public func resume() { child?.signal(SIGCONT) }

    /// Runs one command with `redis-cli`; answers what it printed, without the last line break.
    @discardableResult
    public func cli(_ arguments: String...) throws -> String {
        let data = try Child.output(of: "/usr/bin/redis-cli", ["-p", "\(port)"] + arguments)
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    private func answers() -> Bool {
        guard let text = try? cli("PING") else { return false }
        return text == "PONG" || text.hasPrefix("NOAUTH") || text.hasPrefix("(error) NOAUTH")
    }
}
