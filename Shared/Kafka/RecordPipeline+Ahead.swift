/// Looks at records before their batch, as the lane of high priority does, which does not wait for the batch. Loop thread only.
public protocol RecordsAhead: AnyObject {
    /// These records will be in a batch soon. They come in the order of their partitions, and at most 64 of each topic wait so.
    /// Records that a batch leaves are shown again.
    func look(_ records: [KafkaRecord])
    /// The group has taken the partitions back. The records that were looked at come again, here or at another member.
    func forget()
}

extension RecordPipeline {
    /// Takes records from librdkafka's queues: of each topic as many as are looked at ahead. If nobody looks ahead, it takes
    /// one, which shows that there are records.
    func hold() {
        let ahead = machine.isStopping || machine.isPaused ? nil : ahead
        for topic in 0..<held.topics {
            if let ahead {
                let records = held.lookAhead(topic) { consumer.next($0) }
                if !records.isEmpty { ahead.look(records) }
            } else if held.isEmpty(topic), let record = consumer.next(topic) {
                held.append(record, line: topic)
            }
        }
    }

    func dropHeld() {
        held = HeldRecords(topics: consumer.topics)
        ahead?.forget()
    }
}
