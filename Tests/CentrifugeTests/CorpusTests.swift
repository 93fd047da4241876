import TestSupport
import Testing

/// What fuzzing has found worth keeping (Tests/Fuzz), as a test of every run.
@Suite struct CommandCorpusTests {
    @Test func everyInputKeepsTheInvariants() throws {
        for input in try fuzzCorpus("commands") { check(input.name, faultOfCommands(input.bytes)) }
        for input in try fuzzCorpus("protobuf") { check(input.name, faultOfProtobufCommands(input.bytes)) }
    }

    private func check(_ name: String, _ fault: String?) { #expect(fault == nil, "\(name): \(fault ?? "")") }
}
