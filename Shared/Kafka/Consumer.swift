internal import CRDKafka
internal import EventLoop

/// A member of a consumer group. It empties its queue when librdkafka says that it is not empty, and tells its owner of rebalances.
/// Loop thread only.
final class Consumer {
    enum Rebalance {
        /// This member has partitions. It has begun to read them where the group stands.
        case assigned(count: Int)
        /// The group takes all partitions back, and waits for `unassign`.
        case revoked
    }

    let client: KafkaClient
    /// A queue is no longer empty.
    var onReady: (() -> Void)?
    var onRebalance: ((Rebalance) -> Void)?
    /// A plain commit was answered.
    var onCommitted: ((KafkaError?) -> Void)?
    /// librdkafka has met an error, which it deals with by itself.
    var onError: ((KafkaError) -> Void)?
    /// Reading has reached the end of a partition.
    var onEnd: ((PartitionOffset) -> Void)?
    /// The group did not say where it stands in partitions of the assignment. Nobody reads them until `reassign`.
    var onUnread: ((KafkaError) -> Void)?
    /// The member and generation of the present assignment.
    private(set) var membership: GroupMembership?

    private let loop: EventLoop
    /// Rebalances and errors. It tells of the topics' queues as well.
    private var queue: ClientQueue?
    private var records: TopicQueues?
    /// Answers to plain commits. They have a queue of their own, so that they do not wait behind records that nobody takes.
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

    /// The topics of the assignment. Their numbers are good until the next assignment.
    var topics: [String] { records?.topics ?? [] }

    /// The partitions of the assignment.
    var partitions: [PartitionOffset] { assignment.partitions }
    private var assignment = Assignment()

    /// The end of a partition, as the last answer to a fetch said. Negative before the first answer.
    func high(_ partition: PartitionProgress.Partition) -> Int64 {
        var (low, high): (Int64, Int64) = (-1, -1)
        rd_kafka_get_watermark_offsets(client.raw, partition.topic, partition.number, &low, &high)
        return high
    }

    /// Handles the rebalances and errors that wait for this member.
    func serve() {
        while let message = rd_kafka_consumer_poll(client.raw, 0) {
            // There is no record among them: records come by the queue of their topic.
            _ = record(from: message)
        }
    }

    /// The next record of a topic, or `nil` if its queue is empty.
    func next(_ topic: Int) -> KafkaRecord? {
        while let message = records?.next(topic) {
            if let record = record(from: message) { return record }
        }
        return nil
    }

    /// Leads partitions into their topics' queues again, after librdkafka has undone that (`TopicQueues.lead`).
    func leadAgain() { records?.lead() }

    /// One line for all that librdkafka has logged since the last call. In an outage these are thousands of lines.
    var logSummary: String? {
        let log = client.takeLog()
        return log.lines > 0 ? "librdkafka wrote \(log.lines) lines, the last: \(log.last)" : nil
    }

    private func record(from message: UnsafeMutablePointer<rd_kafka_message_t>) -> KafkaRecord? {
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
        // The text names the topic, if the code is about one.
        let text = rd_kafka_message_errstr(message).map { String(cString: $0) }
        var error = KafkaError(message.pointee.err, text)
        if let topic = message.pointee.rkt { error = error.about(topic: topicName(topic)) }
        if Self.leavesUnread(message) { onUnread?(error) } else { onError?(error) }
        return nil
    }

    /// Whether an error means that librdkafka does not know where the group stands. The broker may answer the question for
    /// positions with an error, for example while a coordinator is being elected. librdkafka 2.0.2 passes that error on and
    /// forgets the question, and the partitions wait for ever (`rd_kafka_assignment_handle_OffsetFetch`). The code has other
    /// meanings too, so the text is compared.
    private static func leavesUnread(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> Bool {
        rd_kafka_message_errstr(message).map { String(cString: $0).hasPrefix("Failed to fetch committed offset") } ?? false
    }

    /// Gives the partitions back: the answer to a revocation.
    func unassign() {
        membership = nil
        rd_kafka_assign(client.raw, nil)
    }

    /// Begins with the partitions of the assignment again: it asks where the group stands, and reads from there.
    func reassign() {
        withAssignment { _ = rd_kafka_assign(client.raw, $0) }
        leadAgain()
    }

    /// The first partition of the assignment, at its beginning.
    var firstAssigned: PartitionOffset? {
        var first: PartitionOffset?
        withAssignment { first = PartitionList.offsets($0).first }
        first?.next = 0
        return first
    }

    /// Commits without waiting. `onCommitted` follows if this returns true.
    func commit(_ offsets: [PartitionOffset]) -> Bool {
        let list = PartitionList(offsets)
        return rd_kafka_commit_queue(client.raw, list.raw, answers, nil, nil) == RD_KAFKA_RESP_ERR_NO_ERROR
    }

    /// Takes the answers to plain commits, and calls `onCommitted` for each.
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

    /// Leaves the group and ends the client, on the worker. `completion` is called on the loop. Nothing else may be called
    /// afterwards.
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
            if assignment.give(partitions.map { PartitionList.offsets($0) } ?? []) { joinAgainSoon() }
            records?.assign(self.partitions)
            rd_kafka_assign(client.raw, partitions)
            onRebalance?(.assigned(count: Int(partitions?.pointee.cnt ?? 0)))
        case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS where !isClosing:
            if rd_kafka_assignment_lost(client.raw) != 0 { assignment.lose() }
            guard let onRebalance else { return unassign() }
            onRebalance(.revoked)
        default: rd_kafka_assign(client.raw, nil)
        }
    }

    /// Subscribes to the same topics again after the pause, unless the group has formed again meanwhile. A subscription makes
    /// librdkafka look which of the topics exist.
    private func joinAgainSoon() {
        let membership = membership
        loop.timer(after: Assignment.pause) { [weak self] in
            guard let self, !self.isClosing, self.membership === membership else { return }
            var list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?
            guard rd_kafka_subscription(self.client.raw, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return }
            rd_kafka_subscribe(self.client.raw, list)
            rd_kafka_topic_partition_list_destroy(list)
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
