internal import CRDKafka
internal import Synchronization

/// What one transaction writes.
struct TransactionContent: Sendable {
    /// A repetition has the number of the first attempt. No other transaction has it.
    var number: UInt64
    var outputs: ArraySlice<OutgoingRecord>
    /// Never empty.
    var offsets: [PartitionOffset]
    /// One of the offsets that only this transaction reaches. If the group stands there, the transaction has passed. `nil` if
    /// it moves no offset.
    var proof: PartitionOffset?
    var membership: GroupMembership
}

/// How a transaction ended.
enum TransactionResult: Equatable, Sendable {
    case committed
    /// An earlier attempt under its number has passed after all, with its offsets. Nothing remains to be written.
    case stands
    /// Nothing of it was written. It may be tried again.
    case failed(KafkaError)
    /// Nothing of it was written, and Kafka will never take the output at this index.
    case refused(Int, KafkaError)
    case abandoned
}

/// Asks a blocked worker to give up at its next wait. May be used from any thread.
final class Abandonment: Sendable {
    private let flag = Atomic<Bool>(false)
    var isRequested: Bool { flag.load(ordering: .acquiring) }
    func request() { flag.store(true, ordering: .releasing) }
}

/// The transactional producer of a pipeline: makes it, runs transactions, and makes it again after a fatal error.
/// Every call blocks. All calls are made on one worker thread. KIP-98, KIP-447; `rdkafka.h`, "Transactional producer API".
final class TransactionalProducer: @unchecked Sendable {
    // @unchecked: confined to the worker thread but for the immutable properties.
    private let settings: KafkaSettings
    private let transactionalID: String
    /// Says where the group stands, after a commit whose end is not known.
    private let consumer: KafkaClient
    private(set) var client: KafkaClient?
    private var writer: RecordWriter?
    /// The transaction whose commit was sent and not answered. It may have passed.
    private var uncertain: (number: UInt64, proof: PartitionOffset?)?
    private var refusal: (index: Int, error: KafkaError, size: Int)?
    /// Why a record of this transaction was not written, and which topic it was for.
    private var undelivered: KafkaError?
    /// Failures since a transaction passed last.
    private var failures = 0

    /// After so many failures in a row, of any kind, the producer is made again.
    static let maximumFailures = 3
    /// How many slices of time a new producer has to become ready. After that another one is made.
    private static let preparations = 30
    /// How long one blocking call waits before it is asked again whether to go on, in ms.
    private static let slice: Int32 = 1_000

    init(settings: KafkaSettings, transactionalID: String, consumer: KafkaClient) {
        self.settings = settings
        self.transactionalID = transactionalID
        self.consumer = consumer
    }

    /// Makes the producer if there is none. The first one on a new broker takes about 2 s. It also ends the transaction that a
    /// predecessor left open.
    func prepare(_ abandonment: Abandonment) -> TransactionResult? {
        if client != nil { return nil }
        let callbacks = ClientCallbacks()
        callbacks.delivered = { [unowned self] message in self.delivered(message) }
        let made: KafkaClient
        do {
            made = try KafkaClient(
                RD_KAFKA_PRODUCER, .transactional(settings, id: transactionalID), callbacks)
        } catch { return .failed(error) }
        var slices = 0
        while let failure = ClientFailure(rd_kafka_init_transactions(made.raw, Self.slice), of: made) {
            slices += 1
            if failure.isRetriable, !failure.isFatal, !abandonment.isRequested, slices < Self.preparations { continue }
            made.destroy()
            return abandonment.isRequested ? .abandoned : .failed(failure.error)
        }
        client = made
        writer = RecordWriter(made)
        return nil
    }

    /// Runs one transaction to its end. The producer is made again after a failure that ends it, and after several failures of any
    /// kind in a row. The broker may have forgotten the producer (it forgets an id after a week without a transaction,
    /// `__transaction_state`), and no retry would mend that.
    func run(_ content: TransactionContent, _ abandonment: Abandonment) -> TransactionResult {
        let result = attempt(content, abandonment)
        switch result {
        case .committed, .stands, .refused: failures = 0
        case .failed(let error): renew(after: error, abandonment)
        case .abandoned: break
        }
        return result
    }

    private func renew(after error: KafkaError, _ abandonment: Abandonment) {
        failures += 1
        guard client != nil, error.endsProducer || failures.isMultiple(of: Self.maximumFailures) else { return }
        close()
        _ = prepare(abandonment)
    }

    private func attempt(_ content: TransactionContent, _ abandonment: Abandonment) -> TransactionResult {
        refusal = nil
        undelivered = nil
        if let uncertain, uncertain.number == content.number {
            if let sample = content.offsets.first {
                if let error = endPending(sample, content.membership, abandonment) { return .failed(error) }
            }
            switch standsCommitted(uncertain.proof) {
            case .success(true): return .stands
            case .success(false): break
            case .failure(let error): return .failed(error)
            }
        }
        uncertain = nil
        // Only here: what comes before may have made the producer again.
        if let stopped = prepare(abandonment) { return stopped }
        guard let client, let writer else { return .abandoned }
        if let failure = ClientFailure(rd_kafka_begin_transaction(client.raw), of: client) {
            return recover(failure, content, abandonment, mayBeCommitted: false)
        }
        // Offsets are sent before outputs. While the broker still ends the previous transaction, librdkafka 2.0.2 repeats the
        // request for offsets after `retry.backoff.ms`, and the registration of an output's partition only after 20 ms.
        let offsets = PartitionList(content.offsets)
        while let failure = ClientFailure(
            rd_kafka_send_offsets_to_transaction(client.raw, offsets.raw, content.membership.raw, Self.slice), of: client)
        {
            if failure.isRetriable, !failure.mustAbort, !failure.isFatal, !abandonment.isRequested { continue }
            return recover(failure, content, abandonment, mayBeCommitted: false)
        }
        if let stopped = write(content.outputs, client, writer, abandonment) { return stopped }
        while let failure = ClientFailure(rd_kafka_commit_transaction(client.raw, Self.slice), of: client) {
            if failure.isRetriable, !failure.mustAbort, !failure.isFatal, !abandonment.isRequested { continue }
            return recover(failure, content, abandonment, mayBeCommitted: true)
        }
        return .committed
    }

    /// Lets the broker end what a transaction of this producer left pending in the group: it begins another transaction with one
    /// position, and aborts it. No reader sees that. Until it is done the group answers no question for a position (decision 0014).
    /// - Returns: why it failed; nil also if another member has taken over the partitions, or if the call was abandoned.
    func endPending(
        _ sample: PartitionOffset, _ membership: GroupMembership, _ abandonment: Abandonment
    ) -> KafkaError? {
        // The mock keeps no offsets of transactions.
        if settings.isMock { return nil }
        if case .failed(let error)? = prepare(abandonment) { return error }
        guard let client else { return nil }
        var failure = ClientFailure(rd_kafka_begin_transaction(client.raw), of: client)
        if failure == nil {
            let list = PartitionList([sample])
            repeat {
                failure = ClientFailure(
                    rd_kafka_send_offsets_to_transaction(client.raw, list.raw, membership.raw, Self.slice), of: client)
            } while failure.map { $0.isRetriable && !$0.mustAbort && !$0.isFatal } ?? false && !abandonment.isRequested
        }
        let mayGoOn = failure?.isFatal != true && abort(client, abandonment)
        if let error = failure?.error, !error.isStaleMember { failures += 1 }
        if !mayGoOn || failure?.error.endsProducer == true || (failure != nil && failures.isMultiple(of: Self.maximumFailures)) {
            close()
            if !abandonment.isRequested { _ = prepare(abandonment) }
        }
        return abandonment.isRequested || failure?.error.isStaleMember == true ? nil : failure?.error
    }

    /// Ends the producer. An open transaction is ended by the next one of the same id, or by the broker.
    func close() {
        writer?.close()
        client?.destroy()
        writer = nil
        client = nil
    }

    private func write(
        _ outputs: ArraySlice<OutgoingRecord>, _ client: KafkaClient, _ writer: RecordWriter, _ abandonment: Abandonment
    ) -> TransactionResult? {
        for (index, record) in outputs.enumerated() {
            var code = writer.write(record, tag: index + 1)
            while code == RD_KAFKA_RESP_ERR__QUEUE_FULL, !abandonment.isRequested {
                rd_kafka_poll(client.raw, 50)
                code = writer.write(record, tag: index + 1)
            }
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
            let error = client.failure(code).about(topic: record.topic)
            // The error of this call only says that the transaction has failed. The delivery reports, which come with the
            // abort, say why.
            if client.fatalCause != nil || !abort(client, abandonment) { close() }
            if abandonment.isRequested { return .abandoned }
            if let refusal { return .refused(refusal.index, refusal.error) }
            if error.isRefusal { return .refused(index, error) }
            return .failed(code == RD_KAFKA_RESP_ERR__STATE ? undelivered ?? error : error)
        }
        return nil
    }

    private func delivered(_ message: UnsafePointer<rd_kafka_message_t>) {
        guard message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        let topic = rd_kafka_topic_name(message.pointee.rkt).map { String(cString: $0) } ?? ""
        let error = KafkaError(message.pointee.err).about(topic: topic)
        let tag = Int(bitPattern: message.pointee._private)
        // A broker refuses a whole message set. Its largest record is the likely cause.
        let size = recordSize(message)
        if error.isRefusal, tag > 0, size > refusal?.size ?? -1 {
            refusal = (tag - 1, error, size)
        } else if !error.isRefusal, !error.isPurge {
            undelivered = undelivered ?? error
        }
    }

    /// Ends a transaction that failed. After a fatal error, or where the abort fails too, the producer is made again.
    private func recover(
        _ failure: ClientFailure, _ content: TransactionContent, _ abandonment: Abandonment, mayBeCommitted: Bool
    ) -> TransactionResult {
        // No commit was sent if a record was refused.
        if mayBeCommitted, refusal == nil { uncertain = (content.number, content.proof) }
        if abandonment.isRequested {
            // There is no time for an abort. The next producer of this id ends the transaction.
            close()
            return .abandoned
        }
        if failure.isFatal || !abort(client, abandonment) {
            close()
            // This is done at once. Readers wait behind the open transaction until the new producer has ended it.
            _ = prepare(abandonment)
        }
        if abandonment.isRequested { return .abandoned }
        if let refusal { return .refused(refusal.index, refusal.error) }
        // The error of a record says more than the error of the transaction.
        return .failed(failure.error.endsProducer ? failure.error : undelivered ?? failure.error)
    }

    /// Aborts the open transaction; false if the producer is of no more use.
    private func abort(_ client: KafkaClient?, _ abandonment: Abandonment) -> Bool {
        guard let client else { return false }
        // Flush first: an abort before a partition was registered can end in a fatal INVALID_TXN_STATE.
        _ = rd_kafka_flush(client.raw, Self.slice)
        while let failure = ClientFailure(rd_kafka_abort_transaction(client.raw, Self.slice), of: client) {
            if failure.isRetriable, !failure.isFatal, !abandonment.isRequested { continue }
            return false
        }
        return true
    }

    /// Whether a commit without an answer has passed. The position of the group tells: offsets and outputs pass together.
    private func standsCommitted(_ proof: PartitionOffset?) -> Result<Bool, KafkaError> {
        // The mock never keeps these offsets, so they say nothing there.
        guard let proof, !settings.isMock else { return .success(false) }
        let list = PartitionList([PartitionOffset(topic: proof.topic, partition: proof.partition, next: -1_001)])
        let code = rd_kafka_committed(consumer.raw, list.raw, Self.slice)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return .failure(KafkaError(code)) }
        return .success((list.offsets.first?.next ?? -1) >= proof.next)
    }
}
