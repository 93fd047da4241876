internal import Foundation

/// A real `redis-server` on a free port of loopback, durable (`appendfsync always`), in a temporary directory.
public final class RedisServer: @unchecked Sendable {
    // @unchecked: a test holds it and calls it from one task at a time.

    public struct NotStarted: Error {}

    public private(set) var port = 0
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
        for _ in 0..<5 {
            port = freePort()
            // Another process may have taken the port in between: then another one will do.
            if (try? start()) != nil { return }
        }
        throw NotStarted()
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
        let deadline = Date() + 10
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

/// A TCP port of loopback that was free a moment ago.
public func freePort() -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
            guard bind(descriptor, raw, length) == 0, getsockname(descriptor, raw, &length) == 0 else { return 0 }
            return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { Int(UInt16(bigEndian: $0.pointee.sin_port)) }
        }
    }
}
