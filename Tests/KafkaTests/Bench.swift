import EventLoop
import Foundation
import Kafka
import Synchronization
import TestSupport
import Testing

/// A loop, what was made on it, and questions to it, for tests that poll for what they expect.
final class Bench<State>: @unchecked Sendable {
    // @unchecked: `state` is touched on the loop only.
    let loop: EventLoop
    private var state: State?

    init(_ make: @escaping @Sendable (EventLoop) throws -> State) async throws {
        let loop = EventLoop(name: "test")
        self.loop = loop
        loop.start()
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            loop.post {
                do {
                    self.state = try make(loop)
                    continuation.resume()
                } catch { continuation.resume(throwing: error) }
            }
        }
    }

    /// Runs on the loop and answers.
    func ask<Answer: Sendable>(_ question: @escaping @Sendable (State) -> Answer) async -> Answer {
        await withCheckedContinuation { continuation in
            self.loop.post { continuation.resume(returning: question(self.state!)) }
        }
    }

    /// Runs something that ends with a call.
    func wait(_ body: @escaping @Sendable (State, @escaping () -> Void) -> Void) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            self.loop.post { body(self.state!) { continuation.resume() } }
        }
    }

    /// Asks until the answer is yes; false once the deadline has passed.
    func until(_ seconds: Double = 30, _ question: @escaping @Sendable (State) -> Bool) async -> Bool {
        let deadline = Date().addingTimeInterval(seconds)
        while Date() < deadline {
            if await ask(question) { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return await ask(question)
    }

    func end() { loop.stop() }
}

extension KafkaSettings {
    /// Of an embedded broker, each test in a namespace of its own.
    static func mock(_ broker: EmbeddedBroker, namespace: String = "", instance: String = "one") -> KafkaSettings {
        KafkaSettings(brokers: broker.brokers, isMock: true, namespace: namespace, instanceID: instance)
    }

    static func mock(_ broker: MockBroker) -> KafkaSettings {
        KafkaSettings(brokers: broker.brokers, isMock: true, instanceID: "one")
    }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
