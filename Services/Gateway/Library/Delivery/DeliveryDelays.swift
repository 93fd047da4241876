import Models
import ServiceRuntime
import Store

/// `carillon_gateway_delivery_delay_seconds`: the time from the timestamp of an event's record in Kafka to the write to a
/// client. Loop thread only.
///
/// Every delivery is measured. So the histograms are in one array, and two small numbers give the place.
struct DeliveryDelays {
    /// In seconds. 0.5 is what Carillon promises. The values beyond ten show an outage or a backlog.
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
    ///   - delay: in ms. A negative delay counts as 0, because the record's clock is ahead of this one. Nil is not counted.
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

/// The time from the acceptance of an event until now, in ms; nil if its sender does not know the acceptance (0).
func delay(since accepted: Int64, _ now: Int64) -> Int64? { accepted > 0 ? now &- accepted : nil }
