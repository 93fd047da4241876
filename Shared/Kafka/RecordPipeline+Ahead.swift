/// Looks at records while they wait for their batch, as one of high priority that need not wait. Loop thread only.
public protocol RecordsAhead: AnyObject {
    /// These will be in a batch soon: at most 64 of each topic wait so, in the order of their partitions. What a batch leaves is shown again.
    func look(_ records: [KafkaRecord])
    /// The group has taken the partitions back: what was looked at comes again, here or elsewhere.
    func forget()
}

extension RecordPipeline {
    /// Takes what waits in librdkafka's queues: of each topic as much as is looked at ahead, or the one record that tells that there is any.
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
