import Foundation
import Testing

/// What fuzzing has found worth keeping (Tests/Fuzz), as a test of every run.
@Suite struct CommandCorpusTests {
    @Test func everyInputKeepsTheInvariants() throws {
        for input in try inputs("commands") { check(input.name, faultOfCommands(input.bytes)) }
        for input in try inputs("protobuf") { check(input.name, faultOfProtobufCommands(input.bytes)) }
    }

    private func check(_ name: String, _ fault: String?) { #expect(fault == nil, "\(name): \(fault ?? "")") }

    private func inputs(_ corpus: String) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Fuzz/corpus/\(corpus)")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(files.count > 10)
        return try files.map { ($0.lastPathComponent, Array(try Data(contentsOf: $0))) }
    }
}
