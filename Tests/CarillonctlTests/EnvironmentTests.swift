import Foundation
import Settings
import Testing

@testable import Carillonctl

@Suite struct EnvironmentTests {
    /// Where the products of this build lie.
    private let folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path

    /// `deploy/env.md` says what the binaries read: no more, no less. `carillonctl env > deploy/env.md` mends it.
    @Test func documentIsUpToDate() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let file = try String(contentsOf: root.appending(path: "deploy/env.md"), encoding: .utf8)
        let declared = try environmentDocument(folder: folder)
        let (written, expected) = (Set(file.split(separator: "\n")), Set(declared.split(separator: "\n")))
        for line in expected.subtracting(written) { Issue.record("missing: \(line)") }
        for line in written.subtracting(expected) { Issue.record("not declared: \(line)") }
        #expect(file == declared)
    }

    @Test func missingBinariesAreNamed() async {
        let (status, written) = await carillonctl("env", "--binaries", "/proc")
        #expect(status == 1 && written.error.contains("/proc/gateway cannot be run"))
    }

    @Test func declarationsSurviveTheirLines() {
        let lines = SettingsText.lines(ControlSettings.declarations)
        #expect(SettingsText.lines(SettingsText.declarations(lines)) == lines)
    }
}
