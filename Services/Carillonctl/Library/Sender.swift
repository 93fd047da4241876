internal import EventLoop
internal import Kafka

/// Sends one record, on a loop.
actor Sender: LoopActor {
    nonisolated let loop: EventLoop
    private var producer: KafkaProducer?

    private init(loop: EventLoop) { self.loop = loop }

    /// Throws why the broker does not have it.
    static func once(_ record: OutgoingRecord, _ settings: KafkaSettings, timeout: Duration = .seconds(10)) async throws {
        let loop = EventLoop(name: "carillonctl")
        loop.start()
        defer { loop.stop() }
        if let failure = try await Sender(loop: loop).send(record, settings, timeout) { throw failure }
    }

    private func send(_ record: OutgoingRecord, _ settings: KafkaSettings, _ timeout: Duration) async throws -> KafkaError? {
        let producer = try KafkaProducer(loop: loop, settings: settings, deliveryTimeout: timeout)
        self.producer = producer
        let failure = await withCheckedContinuation { done in
            producer.produce(record) { done.resume(returning: $0) }
        }
        await withCheckedContinuation { done in producer.close { done.resume() } }
        return failure
    }
}
