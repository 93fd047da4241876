import TestSupport
import Testing

/// What fuzzing has found worth keeping (Tests/Fuzz), as a test of every run.
@Suite struct HTTPCorpusTests {
    @Test func everyInputKeepsTheInvariants() throws {
        for input in try fuzzCorpus("requests") { check(input.name, faultOfRequests(input.bytes)) }
    }

    private func check(_ name: String, _ fault: String?) { #expect(fault == nil, "\(name): \(fault ?? "")") }
}
