internal import EventLoop

/// The thread on which a pipeline's transactions run, one after another, with its transactional producer. Its calls and their answers
/// are on the loop.
final class TransactionThread {
    let worker = WorkerThread(name: "kafka-commit")

    private let loop: EventLoop
    private let producer: TransactionalProducer
    private var abandonment = Abandonment()

    init(loop: EventLoop, settings: KafkaSettings, transactionalID: String, consumer: KafkaClient) {
        self.loop = loop
        producer = TransactionalProducer(settings: settings, transactionalID: transactionalID, consumer: consumer)
    }

    /// Makes the producer ahead of the first transaction; also ends what a predecessor left open.
    func prepare() {
        let (producer, abandonment) = (producer, currentAbandonment())
        worker.run { _ = producer.prepare(abandonment) }
    }

    /// `completion` holds its owner until the transaction is over.
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

    /// What runs and what waits gives up soon.
    func abandon() { abandonment.request() }

    /// Ends the producer, behind what runs.
    func close() {
        let producer = producer
        worker.run { producer.close() }
    }

    /// One for all that the worker has before it: whoever waits for a transaction waits for what stands before that, too.
    private func currentAbandonment() -> Abandonment {
        if abandonment.isRequested { abandonment = Abandonment() }
        return abandonment
    }
}
