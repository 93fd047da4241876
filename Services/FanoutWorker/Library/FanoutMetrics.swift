import Models
import ServiceRuntime

/// What becomes of a record.
enum RecordOutcome: String, MetricLabel {
    case delivered, expired
    case deadLetter = "dead_letter"
}

/// What becomes of one notification for one person.
enum DeliveryOutcome: String, MetricLabel {
    /// Appended now.
    case fresh
    /// The inbox had it already, because the record was read again.
    case repeated
}

/// What the fanout-worker counts. Confined to its loop.
struct FanoutMetrics {
    let records: Labeled<RecordOutcome, Counter>
    let deadLetters: Labeled<DeadLetterReason, Counter>
    let fresh: Counter
    let repeated: Counter
    let posts: Labeled<DeliveryOutcome, Counter>
    let pushes: Labeled<Priority, Counter>
    let needless: Counter
    let publishes: Counter
    let unheard: Counter
    let retries: Counter
    let parcelSizes: Histogram
    let toPublished: Histogram

    init(_ metrics: Metrics) {
        records = metrics.counter("carillon_fanout_records_total", "Notification records by what became of them.", by: "outcome")
        deadLetters = metrics.counter("carillon_fanout_dead_letters_total", "Records that were given up, by reason.", by: "reason")
        let deliveries: Labeled<DeliveryOutcome, Counter> = metrics.counter(
            "carillon_fanout_deliveries_total", "Notifications appended to inboxes, or found in them.", by: "outcome")
        fresh = deliveries[.fresh]
        repeated = deliveries[.repeated]
        posts = metrics.counter(
            "carillon_fanout_posts_total", "Notifications appended to channels, or found in them.", by: "outcome")
        pushes = metrics.counter("carillon_fanout_pushes_total", "Push records for people without a route.", by: "priority")
        needless = metrics.counter(
            "carillon_fanout_needless_pushes_total",
            "Pushes left out: acknowledged, seen, read or archived when delivered again, or expired meanwhile.")
        publishes = metrics.counter("carillon_fanout_publishes_total", "Batches published to gateways.")
        unheard = metrics.counter("carillon_fanout_unheard_publishes_total", "Batches that no gateway received.")
        retries = metrics.counter("carillon_fanout_retries_total", "Commands to Redis that failed and are tried again.")
        parcelSizes = metrics.histogram(
            "carillon_fanout_publish_notifications", "Notifications in a batch for a gateway.", buckets: Histogram.sizes)
        toPublished = metrics.histogram(
            "carillon_fanout_published_seconds", "From the acceptance of an event to the gateway's receipt of its notification.")
    }
}
