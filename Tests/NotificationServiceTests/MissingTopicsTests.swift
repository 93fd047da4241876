import Testing

@testable import NotificationService

/// `#expect` changes nothing that it is given.
private final class Memory {
    private var topics = MissingTopics()

    func missed(_ topic: String, from began: UInt64, until now: UInt64) -> Bool { topics.missed(topic, from: began, until: now) }
    func found(_ topic: String) { topics.found(topic) }
}

@Suite struct MissingTopicsTests {
    private let patience = MissingTopics.patience

    @Test func onlyWhatStaysMissingDoesNotExist() {
        let missing = Memory()
        // One that waited long enough itself.
        #expect(missing.missed("a", from: 10, until: 10 + patience))
        #expect(!missing.missed("b", from: 10, until: 20))
        #expect(!missing.missed("b", from: 500, until: 9 + patience))
        #expect(missing.missed("b", from: 9 + patience, until: 10 + patience))
        #expect(missing.missed("b", from: 50_000, until: 50_001))
        missing.found("b")
        #expect(!missing.missed("b", from: 60_000, until: 60_001))
    }

    @Test func whatIsRememberedIsBounded() {
        let missing = Memory()
        for topic in 0..<MissingTopics.limit { #expect(!missing.missed("t\(topic)", from: 0, until: 1)) }
        #expect(missing.missed("t0", from: 9_000, until: 9_001))
        #expect(!missing.missed("one more", from: 9_000, until: 9_001))
        #expect(!missing.missed("t0", from: 9_000, until: 9_001))
    }
}
