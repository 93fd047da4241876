internal import CRDKafka
internal import EventLoop

/// The partitions of an assignment, read topic by topic: each topic has a queue of its own, so that a backlog of one stands before no
/// other's records. librdkafka by itself leads all partitions into one queue, first come, first served. Loop thread only.
final class TopicQueues {
    /// Names, in the order of their numbers.
    private(set) var topics: [String] = []

    private struct Queue {
        let raw: OpaquePointer
        /// The topic's partitions, which lead here.
        var partitions: [OpaquePointer] = []
    }

    private let client: KafkaClient
    private let bell: ClientQueue
    private var queues: [Queue] = []

    /// - Parameter bell: rings for these queues too.
    init(client: KafkaClient, bell: ClientQueue) {
        self.client = client
        self.bell = bell
    }

    /// Takes the place of the assignment before. To be called before librdkafka begins to read, so that no record takes the common way.
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

    /// Leads the partitions here once more. To stop reading a partition, as `assign` of the same ones does for a moment, librdkafka
    /// 2.0.2 takes its queue off its way, and remembers that the way was ours, so that it sets none of its own
    /// (`rd_kafka_toppar_fetch_stop`, `rd_kafka_toppar_op_fetch_start`).
    func lead() {
        for queue in queues {
            for partition in queue.partitions { rd_kafka_queue_forward(partition, queue.raw) }
        }
    }

    /// The next message of a topic, which the caller destroys; `nil` once its queue is empty.
    func next(_ number: Int) -> UnsafeMutablePointer<rd_kafka_message_t>? {
        queues.indices.contains(number) ? rd_kafka_consume_queue(queues[number].raw, 0) : nil
    }

    /// What is queued is lost. Before the client is destroyed.
    func close() {
        for queue in queues {
            for partition in queue.partitions {
                // A record of a partition whose topic was deleted keeps the partition alive, the partition its queue, and the queue the
                // record: librdkafka 2.0.2 then waits for ever when the client is destroyed (its issue 4724).
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
