internal import CRDKafka
public import EventLoop

/// An idempotent producer without transactions, for records that may be written alone. It says of every record how it ended.
/// Loop thread only.
public final class KafkaProducer {
    /// Whether the broker answers. Called with the first state, and then with each change.
    public var onState: ((BrokerState) -> Void)?

    /// Records that were queued and are not answered yet.
    public var inFlight: Int { waiting.count }
    /// False while the broker is known not to answer. A record that is queued then may wait until it is given up.
    public private(set) var isUp = true

    private let loop: EventLoop
    private let limit: Int
    private let client: KafkaClient
    private let writer: RecordWriter
    private let probe: BrokerProbe
    private var queue: ClientQueue?
    private var ticker: LoopTimer?
    private var waiting: [Int: (KafkaError?) -> Void] = [:]
    private var lastTag = 0
    private var isClosed = false
    private var onIdle: (() -> Void)?

    /// - Parameters:
    ///   - deliveryTimeout: a record that the broker has not acknowledged by then is given up, with an error.
    ///   - limit: the most records in flight. With more, `produce` fails at once.
    /// - Throws: a property that librdkafka does not take.
    public init(
        loop: EventLoop, settings: KafkaSettings, deliveryTimeout: Duration = .seconds(10), limit: Int = 10_000
    ) throws(KafkaError) {
        loop.assertCurrent()
        self.loop = loop
        self.limit = limit
        let callbacks = ClientCallbacks()
        client = try KafkaClient(
            RD_KAFKA_PRODUCER,
            .idempotent(settings, deliveryTimeout: Int(clamping: deliveryTimeout.wholeMilliseconds)), callbacks)
        writer = RecordWriter(client)
        probe = BrokerProbe(loop: loop, client: client, name: "kafka-probe")
        callbacks.delivered = { [unowned self] message in self.delivered(message) }
        callbacks.failed = { [unowned self] error in if error.isOutage { self.probe.ask() } }
        probe.onState = { [unowned self] state in
            self.isUp = state == .up
            self.onState?(state)
        }
        if let raw = rd_kafka_queue_get_main(client.raw) {
            queue = ClientQueue(loop: loop, queue: raw) { [unowned self] in self.poll() }
        }
        ticker = loop.timer(after: .seconds(1), every: .seconds(1)) { [unowned self] in self.poll() }
        probe.start()
    }

    /// Queues the record. `onDelivered` is called once, in a later turn: with `nil` if all replicas in sync have the record,
    /// else with the reason.
    public func produce(_ record: OutgoingRecord, onDelivered: @escaping (KafkaError?) -> Void) {
        loop.assertCurrent()
        let full = waiting.count >= limit || isClosed
        lastTag &+= 1
        let tag = lastTag
        let code = full ? RD_KAFKA_RESP_ERR__QUEUE_FULL : writer.write(record, tag: tag)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let error = client.failure(code).about(topic: record.topic)
            return loop.atTurnEnd { onDelivered(error) }
        }
        waiting[tag] = onDelivered
    }

    /// Waits for the records in flight, up to `patience`, and ends the producer. Records that it gives up are answered with an
    /// error. Nothing may be called afterwards.
    public func close(patience: Duration = .seconds(5), _ completion: @escaping () -> Void) {
        loop.assertCurrent()
        guard !isClosed else { return completion() }
        isClosed = true
        onIdle = { [unowned self] in
            self.onIdle = nil
            self.destroy(completion)
        }
        if waiting.isEmpty { onIdle?() } else { loop.timer(after: patience) { [weak self] in self?.onIdle?() } }
    }

    private func poll() {
        rd_kafka_poll(client.raw, 0)
        if isClosed, waiting.isEmpty { onIdle?() }
    }

    private func delivered(_ message: UnsafePointer<rd_kafka_message_t>) {
        let tag = Int(bitPattern: message.pointee._private)
        guard let onDelivered = waiting.removeValue(forKey: tag) else { return }
        let code = message.pointee.err
        if code == RD_KAFKA_RESP_ERR_NO_ERROR { return onDelivered(nil) }
        let topic = rd_kafka_topic_name(message.pointee.rkt).map { String(cString: $0) } ?? ""
        onDelivered(KafkaError(code).about(topic: topic))
    }

    private func destroy(_ completion: @escaping () -> Void) {
        ticker?.cancel()
        queue?.close()
        let given = waiting
        waiting = [:]
        for onDelivered in given.values { onDelivered(KafkaError(RD_KAFKA_RESP_ERR__DESTROY)) }
        // Kept alive until the client's last callback; confined to the loop but for the end.
        nonisolated(unsafe) let me = self
        nonisolated(unsafe) let completion = completion
        probe.close {
            let worker = WorkerThread(name: "kafka-close")
            worker.run {
                me.writer.close()
                me.client.destroy()
                me.loop.post { completion() }
            }
            worker.stop()
        }
    }
}
