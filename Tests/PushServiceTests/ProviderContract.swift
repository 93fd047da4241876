import Models
import TestSupport
import Testing

@testable import PushService

/// What every `PushProvider` promises. A provider that is added to `ProviderBench.Kind` is held to all of it.
@Suite(.blocking, .timeLimit(.minutes(10))) struct ProviderContract {
    private func texts(type: String = "t", body: String? = nil) -> NotificationTexts {
        var texts = NotificationTexts(id: NotificationID(digest: Array(0..<16)), type: type)
        texts.title = "Title"
        texts.body = body
        return texts
    }

    @Test(arguments: ProviderBench.Kind.allCases) func aDeviceNamesItsProvider(_ kind: ProviderBench.Kind) async throws {
        try await ProviderBench.with(kind) { #expect(await $0.serves("a1")) }
    }

    @Test(arguments: ProviderBench.Kind.allCases) func whatIsTooLongIsCutAndTheSameEachTime(_ kind: ProviderBench.Kind) async throws {
        try await ProviderBench.with(kind) { bench in
            for length in [0, 100, 4_000, 100_000] {
                let texts = texts(body: String(repeating: "b", count: length))
                let body = try await bench.encode(texts, for: "a1")
                #expect(body.count <= 4096 && !body.isEmpty)
                #expect(try await bench.encode(texts, for: "a1") == body)
            }
            let letter = await #expect(throws: DeadLetter.self) {
                _ = try await bench.encode(texts(type: String(repeating: "t", count: 5_000)), for: "a1")
            }
            #expect(letter?.reason == .tooLarge)
        }
    }

    @Test(arguments: ProviderBench.Kind.allCases) func anAnswerMeansTheSameEverywhere(_ kind: ProviderBench.Kind) async throws {
        try await ProviderBench.with(kind) { bench in
            for situation in Situation.allCases {
                let token = try await bench.device(for: situation)
                let answers = try await bench.send(to: [token])[0]
                #expect(answers.count == 1)
                let answer = try #require(answers.first)
                // An answer came, and a dead letter can say which.
                #expect(answer.reason != nil)
                #expect(situation.isMeant(by: answer.meaning), "\(situation): \(answer.meaning)")
                // Whatever it was, the next device is served.
                #expect(try await bench.send(to: ["f00d"])[0].map(\.meaning) == [.accepted])
            }
        }
    }

    @Test(arguments: ProviderBench.Kind.allCases) func eachPushHasOneReply(_ kind: ProviderBench.Kind) async throws {
        try await ProviderBench.with(kind) { bench in
            let tokens = (0..<(await bench.maximumInFlight)).map { "ab\($0)" }
            let answers = try await bench.send(to: tokens)
            #expect(answers.allSatisfy { $0.map(\.meaning) == [.accepted] })
        }
    }

    @Test(arguments: ProviderBench.Kind.allCases) func anOutageIsSaidAndEnds(_ kind: ProviderBench.Kind) async throws {
        try await ProviderBench.with(kind) { bench in
            #expect(await bench.greet() == nil)
            try await bench.setAway(true)
            let answer = try #require(try await bench.send(to: ["ab1"])[0].first)
            #expect(answer.reason == nil)
            guard case .providerFailed = answer.meaning else {
                Issue.record("an outage is no \(answer.meaning)")
                return
            }
            #expect(await bench.greet() == .unreachable)
            try await bench.setAway(false)
            await until("somebody is there again") { await bench.greet() == nil }
            #expect(try await bench.send(to: ["ab1"])[0].map(\.meaning) == [.accepted])
        }
    }

    @Test(arguments: ProviderBench.Kind.allCases) func closingEndsWhatIsUnderWay(_ kind: ProviderBench.Kind) async throws {
        try await ProviderBench.with(kind) { bench in
            let replies = try await bench.sendAndClose("ab1")
            #expect(replies <= 1)
        }
    }
}

extension Situation {
    /// How long a device has been gone, and how long to wait, the provider may leave out.
    fileprivate func isMeant(by meaning: AnswerMeaning) -> Bool {
        switch (self, meaning) {
        case (.accepted, .accepted), (.gone, .deviceGone), (.badToken, .badToken), (.wrongTopic, .wrongTopic),
            (.refused, .credentialsRefused), (.internalError, .providerFailed(.internalError, _)):
            true
        case (.slowDown, .slowDown(let seconds)), (.unavailable, .providerFailed(.unavailable, let seconds)): seconds ?? 7 == 7
        default: false
        }
    }
}
