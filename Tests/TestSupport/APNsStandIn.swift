public import Foundation

/// The stand-in for APNs (`Tests/StandIns/apns`) as a process of its own, in a temporary directory.
public final class APNsStandIn {
    /// What the push-service's environment needs: `APNS_URL`, `APNS_CA_FILE`, `APNS_KEY_FILE`, …
    public let environment: [String: String]
    private let process = Process()
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
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = [
            source.appendingPathComponent("StandIns/apns").path, "--state", directory.path, "--port", "\(port)",
        ]
        let output = Pipe()
        process.standardOutput = output
        // One that outlives a test that crashed must not keep the runner's pipe open.
        process.standardError = FileHandle.nullDevice
        try process.run()
        var text = ""
        while !text.contains("APNS_RECEIVED_URL=") || !text.hasSuffix("\n") {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw NotStarted() }
            text += String(decoding: data, as: UTF8.self)
        }
        var environment: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let pair = line.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { environment[String(pair[0])] = pair[1].trimmingCharacters(in: ["'"]) }
        }
        self.environment = environment
    }

    /// Ends the process and waits for its end; the directory stays for a successor.
    public func stop() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Where its key and its CA lie.
    public var state: URL { directory }
    public var port: Int { url.split(separator: ":").last.flatMap { Int($0) } ?? 0 }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: directory)
    }
}
