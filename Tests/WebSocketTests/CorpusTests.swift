import TestSupport
import Testing

/// What fuzzing has found worth keeping (Tests/Fuzz), as a test of every run.
@Suite struct WebSocketCorpusTests {
    @Test func everyInputKeepsTheInvariants() throws {
        for input in try fuzzCorpus("frames") { check(input.name, faultOfFrames(input.bytes)) }
    }

    private func check(_ name: String, _ fault: String?) { #expect(fault == nil, "\(name): \(fault ?? "")") }
}
