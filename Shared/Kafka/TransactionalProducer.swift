internal import CRDKafka
internal import Synchronization

/// What one transaction writes.
struct TransactionContent: Sendable {
    /// The same when it is tried again, and of no other one.
    var number: UInt64
    var outputs: ArraySlice<OutgoingRecord>
    /// Never empty.
    var offsets: [PartitionOffset]
    /// One of the offsets that only this transaction reaches: the group standing there tells that it passed. `nil` where none moves.
    var proof: PartitionOffset?
    var membership: GroupMembership
}

/// How a transaction ended, and what it met.
enum TransactionResult: Equatable, Sendable {
    case committed
    /// What was tried under its number before is there after all, with its offsets: nothing remains to be written.
    case stands
    /// Nothing of it is there; it may be tried again.
    case failed(KafkaError)
    /// Nothing of it is there, and the output at this index cannot be taken, ever.
    case refused(Int, KafkaError)
    case abandoned
}

/// Asks a blocked worker to give up at its next wait. From any thread.
final class Abandonment: Sendable {
    private let flag = Atomic<Bool>(false)
    var isRequested: Bool { flag.load(ordering: .acquiring) }
    func request() { flag.store(true, ordering: .releasing) }
}

/// The transactional producer of a pipeline: makes it, runs transactions, and makes it again after a fatal error.
/// Every call blocks; all of them on one worker thread. KIP-98, KIP-447; `rdkafka.h`, "Transactional producer API".
final class TransactionalProducer: @unchecked Sendable {
    // @unchecked: confined to the worker thread but for the immutable properties.
    private let settings: KafkaSettings
    private let transactionalID: String
    /// Answers where the group stands, after a commit whose end is not known.
    private let consumer: KafkaClient
    private(set) var client: KafkaClient?
    private var writer: RecordWriter?
    /// The transaction whose commit was sent without an answer: it may be there already.
    private var uncertain: (number: UInt64, proof: PartitionOffset?)?
    private var refusal: (index: Int, error: KafkaError, size: Int)?
    /// Why a record of this transaction was not written, and that of which topic.
    private var undelivered: KafkaError?
    /// Since a transaction passed.
    private var failures = 0

    /// Failures in a row after which the producer is made again, whatever they were.
    static let maximumFailures = 3
    /// Slices that a new producer has to become ready, before another is made.
    private static let preparations = 30
    /// How long one blocking call waits before it is asked again whether to go on, in ms.
    private static let slice: Int32 = 1_000

    init(settings: KafkaSettings, transactionalID: String, consumer: KafkaClient) {
        self.settings = settings
        self.transactionalID = transactionalID
        self.consumer = consumer
    }

    /// Makes the producer if there is none. The first one on a new broker takes about 2 s; it also ends what a predecessor left open.
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

    /// Runs one transaction to its end. After a failure that this producer cannot outlive, and after some in a row of
    /// any kind, it is made again: what the broker has forgotten of it (its id after a week without a transaction, `__transaction_state`)
    /// no retry brings back.
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
        // Offsets before outputs: while the broker ends the transaction before, this is asked again after `retry.backoff.ms`, the
        // registration of an output's partition only after 20 ms (2.0.2).
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

    /// Has the broker end, for the group, what a transaction of this producer left pending: by another one, of one position, that is aborted.
    /// Nobody sees anything of it. Until then the group answers no question for a position (decision 0014).
    /// - Returns: why not; nil also where another member has the group's ear by now, or when it was abandoned.
    func endPending(
        _ sample: PartitionOffset, _ membership: GroupMembership, _ abandonment: Abandonment
    ) -> KafkaError? {
        // The mock keeps no such offsets.
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
            // Its delivery reports, which come with the abort, say more than that a transaction which has failed takes nothing.
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
        // A broker refuses a whole message set: the largest record of it is the likely cause.
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
        // With a record that was refused, no commit was sent.
        if mayBeCommitted, refusal == nil { uncertain = (content.number, content.proof) }
        if abandonment.isRequested {
            // No time for an abort: the next producer of this id does it.
            close()
            return .abandoned
        }
        if failure.isFatal || !abort(client, abandonment) {
            close()
            // At once: what the old one left open keeps readers waiting until the new one has ended it.
            _ = prepare(abandonment)
        }
        if abandonment.isRequested { return .abandoned }
        if let refusal { return .refused(refusal.index, refusal.error) }
        // What the records met says more than that the transaction failed for it.
        return .failed(failure.error.endsProducer ? failure.error : undelivered ?? failure.error)
    }

    /// Aborts the open transaction; false if the producer is of no more use.
    private func abort(_ client: KafkaClient?, _ abandonment: Abandonment) -> Bool {
        guard let client else { return false }
        // Flushed first: an abort before a partition was registered can end in a fatal INVALID_TXN_STATE.
        _ = rd_kafka_flush(client.raw, Self.slice)
        while let failure = ClientFailure(rd_kafka_abort_transaction(client.raw, Self.slice), of: client) {
            if failure.isRetriable, !failure.isFatal, !abandonment.isRequested { continue }
            return false
        }
        return true
    }

    /// A commit was sent and its answer is not known: where the group stands tells, for offsets and outputs are there together.
    private func standsCommitted(_ proof: PartitionOffset?) -> Result<Bool, KafkaError> {
        // The mock never keeps these offsets, so they tell nothing there.
        guard let proof, !settings.isMock else { return .success(false) }
        let list = PartitionList([PartitionOffset(topic: proof.topic, partition: proof.partition, next: -1_001)])
        let code = rd_kafka_committed(consumer.raw, list.raw, Self.slice)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { return .failure(KafkaError(code)) }
        return .success((list.offsets.first?.next ?? -1) >= proof.next)
    }
}
