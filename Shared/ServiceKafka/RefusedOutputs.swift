internal import EventLoop
public import Kafka
public import ServiceRuntime

/// What became of an output that Kafka refused for good.
enum RefusedOutput: String, MetricLabel {
    /// A dead letter stands for it.
    case deadLetter = "dead_letter"
    /// It is a dead letter, and less of it is offered.
    case cut
    /// It is a dead letter of which nothing more can be left out.
    case lost
}

/// Sees to it that an output which Kafka does not take leaves a trace: in the dead letters as long as there is room, and always
/// in the metrics and in the log. Loop thread only.
public final class RefusedOutputs {
    private let topic: String
    private let log: Log
    private let counts: Labeled<RefusedOutput, Counter>

    /// - Parameter deadLetters: the topic that stands for what is refused.
    public init(deadLetters topic: String, log: Log, metrics: Metrics) {
        self.topic = topic
        self.log = log
        counts = metrics.counter(
            "carillon_refused_outputs_total", "Records that Kafka refused for good, by what became of them.", by: "outcome")
    }

    /// For `RecordPipeline.onRefused`.
    public func replacement(for record: OutgoingRecord, _ error: KafkaError) -> OutgoingRecord? {
        let letter = OutgoingRecord.refused(record, topic: topic, at: EventLoop.wallClock())
        let outcome: RefusedOutput = letter == nil ? .lost : record.topic == topic ? .cut : .deadLetter
        counts[outcome].increment()
        log.error(
            "Kafka refused a record for good",
            ["outcome": .name(outcome), "reason": .configured(error.name), "bytes": .count(record.size)])
        return letter
    }
}
