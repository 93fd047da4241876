public import Foundation

/// The stand-in for APNs (`Tests/StandIns/apns`) as a process of its own, in a temporary directory.
public final class APNsStandIn {
    /// What the push-service's environment needs: `APNS_URL`, `APNS_CA_FILE`, `APNS_KEY_FILE`, …
    public let environment: [String: String]
    private let child: Child
    private let directory: URL

    public struct NotStarted: Error {}

    public var url: String { environment["APNS_URL"] ?? "" }
    public var caFile: String { environment["APNS_CA_FILE"] ?? "" }
    /// Plain HTTP/1.1: `http://host:port`.
    public var plainURL: String { (environment["APNS_RECEIVED_URL"] ?? "").replacingOccurrences(of: "/received", with: "") }

    /// Starts it and waits until it answers. `port` and `state` of a former one: its successor, with the same key and CA.
    public init(port: Int = 0, state: URL? = nil) throws {
        directory = state ?? FileManager.default.temporaryDirectory.appendingPathComponent("apns-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let told = directory.appendingPathComponent("told")
        child = try Child(
            "/usr/bin/python3",
            [source.appendingPathComponent("StandIns/apns").path, "--state", directory.path, "--port", "\(port)"],
            output: told.path)
        var text = ""
        while !text.contains("APNS_RECEIVED_URL=") || !text.hasSuffix("\n") {
            guard child.isRunning else { throw NotStarted() }
            usleep(5_000)
            text = (try? String(contentsOf: told, encoding: .utf8)) ?? ""
        }
        var environment: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let pair = line.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { environment[String(pair[0])] = pair[1].trimmingCharacters(in: ["'"]) }
        }
        self.environment = environment
    }

    /// Ends the process and waits for its end; the directory stays for a successor.
    public func stop() { child.end() }

    /// Where its key and its CA lie.
    public var state: URL { directory }
    public var port: Int { url.split(separator: ":").last.flatMap { Int($0) } ?? 0 }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: directory)
    }
}
