internal import CRDKafka
internal import EventLoop

/// The partitions of an assignment, read topic by topic. Each topic has a queue of its own, so the backlog of one topic does not
/// delay the records of another. librdkafka by default has one queue for all partitions. Loop thread only.
final class TopicQueues {
    /// Names, in the order of their numbers.
    private(set) var topics: [String] = []

    private struct Queue {
        let raw: OpaquePointer
        /// The topic's partitions. Their records come into this queue.
        var partitions: [OpaquePointer] = []
    }

    private let client: KafkaClient
    private let bell: ClientQueue
    private var queues: [Queue] = []

    /// - Parameter bell: told of these queues too.
    init(client: KafkaClient, bell: ClientQueue) {
        self.client = client
        self.bell = bell
    }

    /// Replaces the assignment. To be called before librdkafka begins to read: otherwise the first records come by the common
    /// queue.
    func assign(_ partitions: [PartitionOffset]) {
        close()
        var numbers: [String: Int] = [:]
        for partition in partitions {
            guard let number = numbers[partition.topic] ?? add(partition.topic) else { continue }
            numbers[partition.topic] = number
            guard let raw = rd_kafka_queue_get_partition(client.raw, partition.topic, partition.partition) else { continue }
            queues[number].partitions.append(raw)
        }
        lead()
    }

    /// Leads the partitions into these queues once more. librdkafka 2.0.2 undoes that when it stops reading a partition, as
    /// `assign` of the same partitions does for a moment. It remembers that the queue was ours, so it does not use the common
    /// queue either (`rd_kafka_toppar_fetch_stop`, `rd_kafka_toppar_op_fetch_start`).
    func lead() {
        for queue in queues {
            for partition in queue.partitions { rd_kafka_queue_forward(partition, queue.raw) }
        }
    }

    /// The next message of a topic, or `nil` if its queue is empty. The caller destroys the message.
    func next(_ number: Int) -> UnsafeMutablePointer<rd_kafka_message_t>? {
        queues.indices.contains(number) ? rd_kafka_consume_queue(queues[number].raw, 0) : nil
    }

    /// Throws away what is queued. To be called before the client is destroyed.
    func close() {
        for queue in queues {
            for partition in queue.partitions {
                // After a topic is deleted, its records keep their partition alive, the partition keeps its queue, and the
                // queue keeps the records. librdkafka 2.0.2 then waits for ever when the client is destroyed (its issue 4724).
                rd_kafka_queue_forward(partition, nil)
                while let message = rd_kafka_consume_queue(partition, 0) { rd_kafka_message_destroy(message) }
                rd_kafka_queue_destroy(partition)
            }
            bell.silence(queue.raw)
            rd_kafka_queue_destroy(queue.raw)
        }
        queues = []
        topics = []
    }

    private func add(_ topic: String) -> Int? {
        guard let raw = rd_kafka_queue_new(client.raw) else { return nil }
        bell.listen(to: raw)
        topics.append(topic)
        queues.append(Queue(raw: raw))
        return queues.count - 1
    }
}
