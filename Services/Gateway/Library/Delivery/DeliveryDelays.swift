import Models
import ServiceRuntime
import Store

/// `carillon_gateway_delivery_delay_seconds`: from the moment at which an event's record reached Kafka, by that record's
/// timestamp, to the write to a client. Loop thread only.
///
/// What every delivery passes: the histograms stand in one array, found by two small numbers.
struct DeliveryDelays {
    /// Seconds. 0.5 is what is promised; beyond ten it tells an outage from a backlog.
    static let bounds: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600,
    ]

    private let histograms: [Histogram]

    init(_ metrics: Metrics) {
        let family = metrics.histogram(
            "carillon_gateway_delivery_delay_seconds",
            "From the timestamp of an event's record in Kafka to the write to a client that was connected.", by: "priority",
            Priority.self, and: "transport", TransportLabel.self, buckets: Self.bounds)
        histograms = Self.priorities.flatMap { priority in Self.transports.map { family[priority][TransportLabel($0)] } }
    }

    /// In the order of their numbers.
    private static let priorities = [Priority.high, .normal, .low]
    private static let transports = [Transport.websocket, .sse, .poll]

    /// - Parameters:
    ///   - delay: ms; a negative one (the record's clock is ahead of ours) counts as none, nil is not counted.
    ///   - times: writes of the same notification.
    func observe(_ delay: Int64?, _ priority: Priority, _ transport: Transport, times: Int = 1) {
        guard let delay else { return }
        histograms[priority.level * 3 + Self.place(transport)].observe(milliseconds: delay, times: times)
    }

    private static func place(_ transport: Transport) -> Int {
        switch transport {
        case .websocket: 0
        case .sse: 1
        case .poll: 2
        }
    }
}

/// ms from the acceptance of an event until now; nil if its sender does not know it (0).
func delay(since accepted: Int64, _ now: Int64) -> Int64? { accepted > 0 ? now &- accepted : nil }
