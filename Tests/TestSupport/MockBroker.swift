internal import Foundation

/// The mock cluster of `carillon-local broker` in a process of its own: for tests that take the broker away.
///
/// librdkafka's mock goes down by closing its listener and binding the port again at once, and aborts where it cannot: as in a
/// process that is just starting another program, which holds a copy of the listener for a moment. The tests start many.
public final class MockBroker: @unchecked Sendable {
    // @unchecked: a test holds it and calls it from one task at a time.

    public struct NotStarted: Error {}

    /// `host:port`.
    public let brokers: String
    private let port: Int
    private let child: Child
    private let file: URL

    /// Starts it and waits until it answers.
    public init() throws {
        let products = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        file = FileManager.default.temporaryDirectory.appendingPathComponent("mock-\(UUID().uuidString)")
        child = try Child(products.appending(path: "carillon-local").path, ["broker", file.path])
        var text = ""
        while !text.hasSuffix("\n") {
            guard child.isRunning else { throw NotStarted() }
            usleep(5_000)
            text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        }
        brokers = String(text.dropLast())
        port = brokers.split(separator: ":").last.flatMap { Int($0) } ?? 0
    }

    deinit {
        child.end()
        try? FileManager.default.removeItem(at: file)
    }

    /// An outage: it closes its connections and takes none; what it has, it keeps. Waits until it is so.
    public func setDown() async throws {
        child.signal(SIGUSR1)
        while RawSocket(port: port) != nil { try await Task.sleep(for: .milliseconds(5)) }
    }

    /// The outage's end.
    public func setUp() { child.signal(SIGUSR2) }
}
