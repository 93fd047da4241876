internal import CRDKafka
internal import EventLoop

/// A member of a consumer group on a loop: its queue is emptied when librdkafka says so, its rebalances are handed to the owner. Loop thread only.
final class Consumer {
    enum Rebalance {
        /// These partitions are this member's; reading has begun where the group stands.
        case assigned(count: Int)
        /// All are taken back; the group waits for `unassign`.
        case revoked
    }

    let client: KafkaClient
    /// A queue is no longer empty.
    var onReady: (() -> Void)?
    var onRebalance: ((Rebalance) -> Void)?
    /// A plain commit was answered.
    var onCommitted: ((KafkaError?) -> Void)?
    /// An error that librdkafka reports and deals with by itself.
    var onError: ((KafkaError) -> Void)?
    /// Reading has reached the end of a partition.
    var onEnd: ((PartitionOffset) -> Void)?
    /// The group did not say where it stands in partitions of the assignment: until `reassign` nobody reads them.
    var onUnread: ((KafkaError) -> Void)?
    /// Of the assignment that holds now.
    private(set) var membership: GroupMembership?

    private let loop: EventLoop
    /// Rebalances and errors; its bell rings for the topics too.
    private var queue: ClientQueue?
    private var records: TopicQueues?
    /// Answers to plain commits have a queue of their own: they must not wait behind records that are not taken.
    private let answers: OpaquePointer?
    private var answersQueue: ClientQueue?
    private var isClosing = false
    private var lastTopic: (handle: OpaquePointer, name: String)?

    init(loop: EventLoop, properties: ClientProperties) throws(KafkaError) {
        self.loop = loop
        let callbacks = ClientCallbacks()
        client = try KafkaClient(RD_KAFKA_CONSUMER, properties, callbacks)
        answers = rd_kafka_queue_new(client.raw)
        callbacks.rebalance = { [unowned self] code, partitions in self.rebalance(code, partitions) }
        callbacks.failed = { [unowned self] error in self.onError?(error) }
    }

    func subscribe(_ topics: [String]) throws(KafkaError) {
        loop.assertCurrent()
        if let raw = rd_kafka_queue_get_consumer(client.raw) {
            queue = ClientQueue(loop: loop, queue: raw) { [unowned self] in self.onReady?() }
            records = queue.map { TopicQueues(client: client, bell: $0) }
        }
        if let answers {
            answersQueue = ClientQueue(loop: loop, queue: answers) { [unowned self] in self.takeAnswers() }
        }
        let list = PartitionList(topics: topics)
        let code = rd_kafka_subscribe(client.raw, list.raw)
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaError(code) }
    }

    /// The topics of the assignment; their numbers hold until the next one.
    var topics: [String] { records?.topics ?? [] }

    /// The partitions of the assignment.
    private(set) var partitions: [PartitionOffset] = []

    /// The end of a partition, as the broker told it with the last answer to a fetch; negative before the first.
    func high(_ partition: PartitionProgress.Partition) -> Int64 {
        var (low, high): (Int64, Int64) = (-1, -1)
        rd_kafka_get_watermark_offsets(client.raw, partition.topic, partition.number, &low, &high)
        return high
    }

    /// Delivers what waits for this member: rebalances, errors.
    func serve() {
        while let message = rd_kafka_consumer_poll(client.raw, 0) {
            // No record among them: each partition's way is its topic's queue before it is read.
            _ = take(message)
        }
    }

    /// The next record of a topic, or `nil` once its queue is empty.
    func next(_ topic: Int) -> KafkaRecord? {
        while let message = records?.next(topic) {
            if let record = take(message) { return record }
        }
        return nil
    }

    /// Makes good for partitions whose queue was taken off its way while they were begun again.
    func leadAgain() { records?.lead() }

    /// librdkafka writes thousands of lines in an outage; they are told as one.
    var logSummary: String? {
        let log = client.takeLog()
        return log.lines > 0 ? "librdkafka wrote \(log.lines) lines, the last: \(log.last)" : nil
    }

    private func take(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> KafkaRecord? {
        defer { rd_kafka_message_destroy(message) }
        if message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
            return KafkaRecord(message, topic: topicName(message.pointee.rkt))
        }
        if message.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF {
            onEnd?(
                PartitionOffset(
                    topic: topicName(message.pointee.rkt), partition: message.pointee.partition, next: message.pointee.offset))
            return nil
        }
        // Its text names the topic, where the code is about one.
        let text = rd_kafka_message_errstr(message).map { String(cString: $0) }
        var error = KafkaError(message.pointee.err, text)
        if let topic = message.pointee.rkt { error = error.about(topic: topicName(topic)) }
        if Self.leavesUnread(message) { onUnread?(error) } else { onError?(error) }
        return nil
    }

    /// An answer to its question for positions that is an error (a coordinator that is being elected, say) librdkafka 2.0.2 passes on and
    /// forgets; the question stays open, and the partitions wait for it for ever (`rd_kafka_assignment_handle_OffsetFetch`). The
    /// code may mean other things too; only the text tells.
    private static func leavesUnread(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> Bool {
        rd_kafka_message_errstr(message).map { String(cString: $0).hasPrefix("Failed to fetch committed offset") } ?? false
    }

    /// Answers a revocation.
    func unassign() {
        membership = nil
        rd_kafka_assign(client.raw, nil)
    }

    /// Begins with the partitions of the assignment again: asks where the group stands, and reads from there.
    func reassign() {
        withAssignment { _ = rd_kafka_assign(client.raw, $0) }
        leadAgain()
    }

    /// The beginning of a partition of the assignment.
    var firstAssigned: PartitionOffset? {
        var first: PartitionOffset?
        withAssignment { first = PartitionList.offsets($0).first }
        first?.next = 0
        return first
    }

    /// Commits without waiting; `onCommitted` follows if this returns true.
    func commit(_ offsets: [PartitionOffset]) -> Bool {
        let list = PartitionList(offsets)
        return rd_kafka_commit_queue(client.raw, list.raw, answers, nil, nil) == RD_KAFKA_RESP_ERR_NO_ERROR
    }

    /// What came for plain commits; `onCommitted` is called from in here.
    func takeAnswers() {
        guard answersQueue != nil else { return }
        while let event = rd_kafka_queue_poll(answers, 0) {
            defer { rd_kafka_event_destroy(event) }
            guard rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT else { continue }
            let code = rd_kafka_event_error(event)
            let passed = code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__NO_OFFSET
            onCommitted?(passed ? nil : KafkaError(code))
        }
    }

    /// Leaves the group and ends the client, on the worker; `completion` on the loop. Nothing may be called afterwards.
    func close(on worker: WorkerThread, _ completion: @escaping @Sendable () -> Void) {
        isClosing = true
        onReady = nil
        onRebalance = nil
        onCommitted = nil
        onError = nil
        onUnread = nil
        onEnd = nil
        membership = nil
        records?.close()
        records = nil
        queue?.close()
        queue = nil
        answersQueue?.close()
        answersQueue = nil
        let (client, loop) = (client, loop)
        // Kept alive until the client's last callback, which comes from within the close.
        nonisolated(unsafe) let me = self
        worker.run {
            rd_kafka_consumer_close(client.raw)
            client.destroy()
            withExtendedLifetime(me) {}
            loop.post(completion)
        }
    }

    private func rebalance(
        _ code: rd_kafka_resp_err_t, _ partitions: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
    ) {
        lastTopic = nil
        switch code {
        case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS where !isClosing:
            membership = GroupMembership(consumer: client)
            self.partitions = partitions.map { PartitionList.offsets($0) } ?? []
            records?.assign(self.partitions)
            rd_kafka_assign(client.raw, partitions)
            onRebalance?(.assigned(count: Int(partitions?.pointee.cnt ?? 0)))
        case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS where !isClosing:
            guard let onRebalance else { return unassign() }
            onRebalance(.revoked)
        default: rd_kafka_assign(client.raw, nil)
        }
    }

    private func withAssignment(_ body: (UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> Void) {
        var list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
        guard rd_kafka_assignment(client.raw, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return }
        body(list)
        rd_kafka_topic_partition_list_destroy(list)
    }

    private func topicName(_ handle: OpaquePointer?) -> String {
        guard let handle else { return "" }
        if let lastTopic, lastTopic.handle == handle { return lastTopic.name }
        let name = rd_kafka_topic_name(handle).map { String(cString: $0) } ?? ""
        lastTopic = (handle, name)
        return name
    }
}
