/// The five services, as their binaries are named.
public enum ServiceName: String, CaseIterable, Sendable {
    case gateway
    case notificationService = "notification-service"
    case fanoutWorker = "fanout-worker"
    case presenceService = "presence-service"
    case pushService = "push-service"

    /// As it stands in the names of variables: `NOTIFICATION_SERVICE`.
    public var variable: String {
        String(rawValue.map { $0 == "-" ? "_" : Character($0.uppercased()) })
    }

    /// The variable that says how many of it run: `GATEWAYS`.
    public var countVariable: String { variable + "S" }
}
