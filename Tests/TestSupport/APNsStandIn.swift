internal import Foundation

/// The stand-in for APNs (`Tests/StandIns/apns`) as a process of its own, in a temporary directory.
public final class APNsStandIn {
    /// What the push-service's environment needs: `APNS_URL`, `APNS_CA_FILE`, `APNS_KEY_FILE`, …
    public let environment: [String: String]
    private let child: Child
    private let directory: URL
    private let held: HeldPort

    public struct NotStarted: Error {}

    public var url: String { environment["APNS_URL"] ?? "" }
    public var port: Int { url.split(separator: ":").last.flatMap { Int($0) } ?? 0 }
    public var caFile: String { environment["APNS_CA_FILE"] ?? "" }
    /// Plain HTTP/1.1: `http://host:port`.
    public var plainURL: String { (environment["APNS_RECEIVED_URL"] ?? "").replacingOccurrences(of: "/received", with: "") }

    /// Starts it and waits until it answers. A successor has the port, the key and the CA of the one that was stopped.
    public init(after former: APNsStandIn? = nil) throws {
        held = try former?.held ?? HeldPort()
        directory =
            former?.directory ?? FileManager.default.temporaryDirectory.appendingPathComponent("apns-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let told = directory.appendingPathComponent("told")
        child = try Child(
            "/usr/bin/python3",
            [source.appendingPathComponent("StandIns/apns").path, "--state", directory.path, "--port", "\(held.number)"],
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

    /// Ends the process and waits for its end; the directory and the port stay for a successor.
    public func stop() { child.end() }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: directory)
    }
}
