import TestSupport
import Testing

/// What fuzzing has found worth keeping (Tests/Fuzz), as a test of every run.
@Suite struct ModelsCorpusTests {
    @Test func everyInputKeepsTheInvariants() throws {
        for input in try fuzzCorpus("events") { check(input.name, faultOfEvents(input.bytes)) }
        for input in try fuzzCorpus("messages") { check(input.name, faultOfGatewayMessages(input.bytes)) }
    }

    private func check(_ name: String, _ fault: String?) { #expect(fault == nil, "\(name): \(fault ?? "")") }
}
