import Foundation
import Testing

/// What fuzzing has found worth keeping (Tests/Fuzz), as a test of every run.
@Suite struct CommandCorpusTests {
    @Test func everyInputKeepsTheInvariants() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fuzz/corpus/commands")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(files.count > 10)
        for file in files {
            let fault = faultOfCommands(Array(try Data(contentsOf: file)))
            #expect(fault == nil, "\(file.lastPathComponent): \(fault ?? "")")
        }
    }
}
