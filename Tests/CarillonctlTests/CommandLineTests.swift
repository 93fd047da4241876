import Foundation
import Testing
import Tokens

@testable import Carillonctl

@Suite struct CommandLineTests {
    @Test func helpAndVersion() async {
        let help = await carillonctl("--help")
        #expect(help.status == 0)
        for command in Carillonctl.commands { #expect(help.written.out.contains("\n  \(command.name) ")) }
        #expect(help.written.out.contains("  EDGE_URL "))
        #expect(await carillonctl("--version").written.out.hasPrefix("carillonctl 0."))
        for command in Carillonctl.commands {
            let own = await carillonctl((command.name + " --help").split(separator: " ").map(String.init))
            #expect(own.status == 0)
            for option in command.options { #expect(own.written.out.contains("--\(option.name)")) }
        }
    }

    private func carillonctl(_ words: [String]) async -> (status: Int32, written: Written) {
        let written = Written()
        return (await Carillonctl.run(words, environment: [:], folder: "/proc", terminal: written.terminal), written)
    }
    private func carillonctl(_ words: String...) async -> (status: Int32, written: Written) { await carillonctl(words) }

    @Test(arguments: [
        [], ["nonsense"], ["dlq"], ["token"], ["token", "--user"], ["token", "--user", "a{b"], ["token", "--nothing"],
        ["token", "--user", "a", "--user", "b"], ["token", "--user", "a", "--expires", "soon"], ["token", "a"],
        ["produce", "--type", "social.like"], ["produce", "--type", "a.b", "--user", "x", "--channel", "y"],
        ["produce", "--user", "x"], ["dlq", "show"], ["dlq", "show", "events.dlq"], ["dlq", "list", "--reason", "whim"],
        ["tail"], ["tail", "--user", "a", "--count", "0"],
    ])
    func misuseIsExplained(_ words: [String]) async {
        let (status, written) = await carillonctl(words)
        #expect(status == 64, "\(words): \(written.error)")
        #expect(written.out.isEmpty)
        #expect(!written.error.isEmpty)
    }

    @Test func optionsAreSorted() throws {
        let known = [Option("name", "X", ""), Option("flag", nil, "")]
        let options = try Options(["--name=a=b", "one", "--flag", "--", "--two"], known: known)
        #expect(options["name"] == "a=b")
        #expect(options.has("flag"))
        #expect(options.rest == ["one", "--two"])
        #expect(throws: ControlError.self) { try Options(["--flag=1"], known: known) }
    }

    @Test func tokenIsTheServicesOwn() async {
        let environment = ["TOKEN_SECRET": secret, "TOKEN_ISSUER": "carillon", "TOKEN_AUDIENCE": "clients"]
        let written = Written()
        let status = await Carillonctl.run(
            ["token", "--user", "alice", "--expires", "15m", "--device", "d1", "--channels", "a,b"],
            environment: environment, folder: "/proc", terminal: written.terminal)
        #expect(status == 0)
        let verifier = TokenVerifier(secret: secret, issuer: "carillon", audience: "clients")
        let now = Int64(Date().timeIntervalSince1970)
        guard case .success(let claims) = verifier.verify(written.lines.first ?? "", now: now) else {
            Issue.record("refused: \(written.out)")
            return
        }
        #expect(claims.subject == "alice" && claims.device == "d1" && claims.channels == ["a", "b"])
        #expect((now + 890...now + 901).contains(claims.expires))
    }

    @Test func missingSecretNamesItsRemedy() async {
        let (status, written) = await carillonctl("token", "--user", "alice")
        #expect(status == 78)
        #expect(written.error.contains("TOKEN_SECRET is not set") && written.error.contains("make run"))
    }

    @Test func clusterFileFillsIn() throws {
        let values = ClusterFile.read("EDGE_URL='http://127.0.0.1:8080'\nKAFKA_BROKERS='a:1 b:2'\n# x=y\nODD='it'\\''s'\n")
        #expect(values == ["EDGE_URL": "http://127.0.0.1:8080", "KAFKA_BROKERS": "a:1,b:2", "ODD": "it's"])
        let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: folder) }
        let deep = folder.appending(path: "a/b")
        for place in [folder.appending(path: ".local"), deep] {
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        }
        try Data("TOKEN_SECRET='\(secret)'\n".utf8).write(to: folder.appending(path: ClusterFile.path))
        #expect(ClusterFile.nearest(from: deep.path) == ["TOKEN_SECRET": secret])
        // A second cluster has a folder of its own; who names it does not get the first one's addresses.
        let second = folder.appending(path: "second")
        #expect(ClusterFile.nearest(from: deep.path, directory: "second").isEmpty)
        try FileManager.default.createDirectory(at: second, withIntermediateDirectories: true)
        try Data("EDGE_URL='http://127.0.0.1:8081'\n".utf8).write(to: second.appending(path: "cluster.env"))
        for directory in ["second", second.path] {
            #expect(ClusterFile.nearest(from: deep.path, directory: directory) == ["EDGE_URL": "http://127.0.0.1:8081"])
        }
        #expect(ClusterFile.nearest(from: deep.path, directory: "/nowhere").isEmpty)
    }

}
