internal import ServiceRuntime

/// What became of a push for one device, or of a record as a whole.
enum PushOutcome: String, MetricLabel {
    case accepted, unregistered, quarantined, parked
    case deadLettered = "dead_lettered"
    case noDevice = "no_device"
    /// The device's app has a topic that the provider does not take from us; the first such push is a dead letter.
    case setAside = "set_aside"
    /// It went to this device before.
    case repeated
    case expired
}

/// What the service counts.
final class Instruments {
    let outcomes: Labeled<PushOutcome, Counter>
    let retries: Counter
    let unremembered: Counter
    let roundTrip: Histogram
    let delivery: Histogram

    init(_ metrics: Metrics) {
        outcomes = metrics.counter(
            "carillon_push_total", "Pushes and records of push.* by what became of them.", by: "outcome", PushOutcome.self)
        retries = metrics.counter("carillon_push_retries_total", "Pushes that were sent again.")
        unremembered = metrics.counter(
            "carillon_push_unremembered_total", "Accepted pushes that Redis did not note: a replay would send them again.")
        roundTrip = metrics.histogram("carillon_push_request_seconds", "From sending a push to the provider's answer.")
        delivery = metrics.histogram(
            "carillon_push_delivery_seconds", "From reading the event to the provider's acceptance of the push.")
    }
}
