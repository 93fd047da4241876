import Models
import ServiceRuntime

/// What becomes of an event's record.
enum EventResult: String, MetricLabel {
    case notified, expired, nobody
    case deadLetter = "dead_letter"
}

/// What the notification-service counts. Confined to its loop.
struct NotificationMetrics {
    private let events: Labeled<EventResult, Counter>
    private let deadLetters: Labeled<DeadLetterReason, Counter>
    private let records: Labeled<Priority, Counter>
    private let batches: Histogram

    init(_ metrics: Metrics) {
        events = metrics.counter("carillon_events_total", "Events read from Kafka, by what became of them.", by: "outcome")
        deadLetters = metrics.counter("carillon_events_dead_letters_total", "Events that were given up, by reason.", by: "reason")
        records = metrics.counter(
            "carillon_notification_records_total", "Records written for the fanout-worker, by priority.", by: "priority")
        batches = metrics.histogram("carillon_events_batch", "Events in one transaction.", buckets: Histogram.sizes)
    }

    func count(_ outcome: EventOutcome) {
        switch outcome {
        case .notified(let priority, let count):
            events[.notified].increment()
            records[priority].increment(by: count)
        case .expired: events[.expired].increment()
        case .nobody: events[.nobody].increment()
        case .deadLetter(let reason):
            events[.deadLetter].increment()
            deadLetters[reason].increment()
        }
    }

    func countBatch(_ size: Int) { batches.observe(Double(size)) }
}
