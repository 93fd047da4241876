internal import EventLoop

/// The thread on which a pipeline's transactions run, one after another, with its transactional producer. It is called on the
/// loop, and answers on the loop.
final class TransactionThread {
    let worker = WorkerThread(name: "kafka-commit")

    private let loop: EventLoop
    private let producer: TransactionalProducer
    private var abandonment = Abandonment()

    init(loop: EventLoop, settings: KafkaSettings, transactionalID: String, consumer: KafkaClient) {
        self.loop = loop
        producer = TransactionalProducer(settings: settings, transactionalID: transactionalID, consumer: consumer)
    }

    /// Makes the producer before the first transaction. That also ends the transaction that a predecessor left open.
    func prepare() {
        let (producer, abandonment) = (producer, currentAbandonment())
        worker.run { _ = producer.prepare(abandonment) }
    }

    /// Runs one transaction. `completion` keeps its owner alive until the transaction is over.
    func run(_ content: TransactionContent, _ completion: @escaping (TransactionResult) -> Void) {
        // Confined to the loop: the worker only carries it there and back.
        nonisolated(unsafe) let completion = completion
        let (producer, loop, abandonment) = (producer, loop, currentAbandonment())
        worker.run {
            let result = producer.run(content, abandonment)
            loop.post { completion(result) }
        }
    }

    /// See `TransactionalProducer.endPending`.
    func endPending(
        _ sample: PartitionOffset, _ membership: GroupMembership, _ completion: @escaping (KafkaError?) -> Void
    ) {
        nonisolated(unsafe) let completion = completion  // As in `run`.
        let (producer, loop, abandonment) = (producer, loop, currentAbandonment())
        worker.run {
            let error = producer.endPending(sample, membership, abandonment)
            loop.post { completion(error) }
        }
    }

    /// Makes the transaction that runs, and those that wait, give up soon.
    func abandon() { abandonment.request() }

    /// Ends the producer, after the transaction that runs.
    func close() {
        let producer = producer
        worker.run { producer.close() }
    }

    /// One for all work that the worker has now: a transaction also waits for the work before it.
    private func currentAbandonment() -> Abandonment {
        if abandonment.isRequested { abandonment = Abandonment() }
        return abandonment
    }
}
