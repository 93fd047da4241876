import EventLoop
import HTTPClient
import Models
import ServiceRuntime
import Settings
import Store
import TestSupport
import Testing

@testable import PushService

/// How a provider may answer, whichever it is.
enum Situation: CaseIterable {
    case accepted, gone, badToken, wrongTopic, slowDown, unavailable, internalError, refused
}

/// One provider on a loop of its own, with the means to make it answer as a test wants.
actor ProviderBench: LoopActor {
    enum Kind: CaseIterable {
        case apns, scripted
    }

    nonisolated let loop: EventLoop
    private let kind: Kind
    private let provider: any PushProvider
    private let script: Script
    private var standIn: APNsStandIn?
    /// It removes the key and the CA when it goes, which its successor has of it.
    private var former: APNsStandIn?
    /// Speaks to the stand-in as a test does.
    private let client: HTTPClient
    /// To each push of the last `send`.
    private var replies: [[ProviderAnswer]] = []

    /// Runs a test on a bench of its own, which ends whatever the test does.
    static func with(_ kind: Kind, _ body: (ProviderBench) async throws -> Void) async throws {
        let loop = EventLoop(name: "provider-bench")
        loop.start()
        let bench: ProviderBench = try await withCheckedThrowingContinuation { made in
            loop.post { made.resume(with: Result { try ProviderBench(kind, on: loop) }) }
        }
        do {
            try await body(bench)
        } catch {
            await bench.end()
            throw error
        }
        await bench.end()
    }

    /// On the loop, which a provider is confined to.
    private init(_ kind: Kind, on loop: EventLoop) throws {
        let standIn = kind == .apns ? try APNsStandIn() : nil
        self.kind = kind
        self.loop = loop
        self.standIn = standIn
        let log = Log(service: "push-service", instance: "bench", level: .error, write: { _ in true })
        let values = standIn?.environment.filter { $0.key != "APNS_RECEIVED_URL" } ?? [:]
        let secret = ["TOKEN_SECRET": String(repeating: "s", count: 32), "APNS_TIMEOUT": "20s"]
        let settings = try PushSettings(Environment(secret.merging(values) { $1 })).apns
        let script = Script()
        self.script = script
        switch settings.credentials {
        case let credentials?:
            provider = APNs(
                loop: loop, settings: settings, credentials: try ProviderCredentials(credentials), log: log, metrics: Metrics())
        case nil: provider = ScriptedProvider(loop: loop, script: script)
        }
        client = HTTPClient(loop: loop)
    }

    func end() {
        provider.close()
        client.close()
        standIn?.stop()
        loop.stop()
    }

    // MARK: What the provider does

    /// - Returns: the token of a device for which the provider answers so.
    func device(for situation: Situation) async throws -> String {
        let token = "\(kind == .apns ? prefix(of: situation) : "")\(situation)1"
        guard kind == .apns else {
            script.answer(token, [scripted(situation)])
            return token
        }
        switch situation {
        case .slowDown: try await fault(#"{"kind":"status","status":429,"retryAfter":7,"count":1,"prefix":"\#(token)"}"#)
        case .unavailable: try await fault(#"{"kind":"status","status":503,"retryAfter":7,"count":1,"prefix":"\#(token)"}"#)
        case .internalError: try await fault(#"{"kind":"status","status":500,"count":1,"prefix":"\#(token)"}"#)
        case .refused:
            try await fault(#"{"kind":"status","status":403,"reason":"InvalidProviderToken","count":1,"prefix":"\#(token)"}"#)
        case .accepted, .gone, .badToken, .wrongTopic: break
        }
        return token
    }

    func setAway(_ isAway: Bool) throws {
        script.setAway(isAway)
        guard kind == .apns, let standIn else { return }
        if isAway { return standIn.stop() }
        former = standIn
        self.standIn = try APNsStandIn(after: standIn)
    }

    private func prefix(of situation: Situation) -> String {
        switch situation {
        case .gone: "dead"
        case .badToken: "bad"
        case .wrongTopic: "othertopic"
        case .accepted, .slowDown, .unavailable, .internalError, .refused: ""
        }
    }

    private func scripted(_ situation: Situation) -> ProviderAnswer {
        switch situation {
        case .accepted: ProviderAnswer(.accepted, reason: "other")
        case .gone: ProviderAnswer(.deviceGone(since: 1), reason: "other")
        case .badToken: ProviderAnswer(.badToken, reason: "other")
        case .wrongTopic: ProviderAnswer(.wrongTopic, reason: "other")
        case .slowDown: ProviderAnswer(.slowDown(retryAfter: 7), reason: "other")
        case .unavailable: ProviderAnswer(.providerFailed(.unavailable, retryAfter: 7), reason: "other")
        case .internalError: ProviderAnswer(.providerFailed(.internalError), reason: "other")
        case .refused: ProviderAnswer(.credentialsRefused, reason: "other")
        }
    }

    private func fault(_ text: String) async throws {
        let url = "\(try #require(standIn).plainURL)/fault"
        let request = HTTPClientRequest(method: "POST", url: url, body: Array(text.utf8))
        let answer: Result<HTTPClientResponse, HTTPClientError> = await withCheckedContinuation { done in
            client.send(request) { done.resume(returning: $0) }
        }
        #expect(try answer.get().status == 200)
    }

    // MARK: What is asked of it

    private func device(_ token: String) -> Device {
        Device(token: token, platform: provider.name.rawValue, app: "", environment: "production")
    }

    func encode(_ texts: NotificationTexts, for token: String) throws -> [UInt8] {
        try provider.encode(PushMessage(texts: texts), for: device(token))
    }

    var maximumInFlight: Int { provider.maximumInFlight }

    func serves(_ token: String) -> Bool { ProviderName(of: device(token)) == provider.name }

    /// Sends to all of them in one turn; answers when all have replied, in their order.
    /// - Returns: each device's replies. A second reply to a push is one too many.
    func send(to tokens: [String]) async throws -> [[ProviderAnswer]] {
        let message = PushMessage(texts: NotificationTexts(id: NotificationID(digest: Array(0..<16)), type: "t"))
        let bodies = try tokens.map { try provider.encode(message, for: device($0)) }
        replies = Array(repeating: [], count: tokens.count)
        var left = tokens.count
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            for (index, token) in tokens.enumerated() {
                provider.send(bodies[index], of: message, to: device(token)) { answer in
                    self.replies[index].append(answer)
                    left -= 1
                    if left == 0 { done.resume() }
                }
            }
        }
        return replies
    }

    /// Sends and ends all connections in the same turn.
    /// - Returns: how many replies came.
    func sendAndClose(_ token: String) async throws -> Int {
        let message = PushMessage(texts: NotificationTexts(id: NotificationID(digest: Array(0..<16)), type: "t"))
        replies = [[]]
        provider.send(try provider.encode(message, for: device(token)), of: message, to: device(token)) {
            self.replies[0].append($0)
        }
        provider.close()
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            loop.timer(after: .milliseconds(100)) { done.resume() }
        }
        return replies[0].count
    }

    func greet() async -> FailureKind? {
        await withCheckedContinuation { done in
            provider.greet(provider.firstDestination) { done.resume(returning: $0) }
        }
    }
}
