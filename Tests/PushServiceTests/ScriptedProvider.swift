import EventLoop
import Models
import ServiceRuntime
import Store
import Synchronization

@testable import PushService

/// What a scripted provider answers, and what it was sent. Set by a test, read on the provider's loop.
final class Script: Sendable {
    struct Sent: Equatable {
        let token: String
        let id: NotificationID
        let wasAccepted: Bool
    }

    private struct State {
        var isAway = false
        var answers: [String: [ProviderAnswer]] = [:]
        var sent: [Sent] = []
    }

    private let state = Mutex(State())

    /// In an outage no connection can be made.
    func setAway(_ isAway: Bool) { state.withLock { $0.isAway = isAway } }

    var isAway: Bool { state.withLock { $0.isAway } }

    /// The answers to the next pushes for a device; those behind them are accepted.
    func answer(_ token: String, _ answers: [ProviderAnswer]) { state.withLock { $0.answers[token, default: []] += answers } }

    /// The pushes that it heard of, in order.
    var sent: [Sent] { state.withLock { $0.sent } }

    func accepted(_ token: String) -> [NotificationID] { sent.filter { $0.token == token && $0.wasAccepted }.map(\.id) }

    fileprivate func push(_ token: String, _ id: NotificationID) -> ProviderAnswer {
        state.withLock { state in
            if state.isAway { return ProviderAnswer(.providerFailed(.unreachable)) }
            let isScripted = state.answers[token]?.isEmpty == false
            let answer = isScripted ? state.answers[token]?.removeFirst() : nil
            let given = answer ?? ProviderAnswer(.accepted, reason: "other")
            state.sent.append(Sent(token: token, id: id, wasAccepted: given.meaning == .accepted))
            return given
        }
    }
}

/// A provider without a network: the second one where APNs must not be the only one.
final class ScriptedProvider: PushProvider {
    static let limit = 4096

    let name = ProviderName.fcm
    let credentialSettings: StaticString = "none"
    let maximumInFlight = 100
    let firstDestination = "scripted"
    private let loop: EventLoop
    private let script: Script
    private var isClosed = false

    init(loop: EventLoop, script: Script) {
        self.loop = loop
        self.script = script
    }

    func destination(of device: Device) -> String { firstDestination }

    func encode(_ message: PushMessage, for device: Device) throws(DeadLetter) -> [UInt8] {
        let head = Array("\(device.token)|\(message.texts.type)|".utf8)
        guard head.count <= Self.limit else { throw DeadLetter(.tooLarge, "the type leaves no room") }
        return head + Array((message.texts.body ?? "").utf8).prefix(Self.limit - head.count)
    }

    func send(_ body: [UInt8], of message: PushMessage, to device: Device, reply: @escaping (ProviderAnswer) -> Void) {
        let answer = script.push(device.token, message.id)
        later { reply(answer) }
    }

    func greet(_ destination: String, reply: @escaping (FailureKind?) -> Void) {
        let failure = script.isAway ? FailureKind.unreachable : nil
        later { reply(failure) }
    }

    func close() { isClosed = true }

    private func later(_ body: @escaping () -> Void) {
        loop.atTurnEnd { if !self.isClosed { body() } }
    }
}
