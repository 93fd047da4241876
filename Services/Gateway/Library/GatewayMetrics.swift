import Centrifuge
import ServiceRuntime
import Store

enum TransportLabel: String, MetricLabel {
    case websocket, sse, poll

    init(_ transport: Transport) {
        switch transport {
        case .websocket: self = .websocket
        case .sse: self = .sse
        case .poll: self = .poll
        }
    }
}

/// Why a newcomer was not let in.
enum RefusalLabel: String, MetricLabel {
    case overload, draining, redis, token, origin
    /// Redis answers, and refuses writes.
    case writes = "redis_writes"
    /// Over MAX_CONNECTIONS_PER_ADDRESS, over ADMISSION_RATE.
    case address, admission
    /// A request that did not arrive in time, could not be read, or never came.
    case timeout, malformed, idle
    /// It spoke no TLS, and had to.
    case tls
}

/// Why the gateway closed a connection.
enum DisconnectLabel: String, MetricLabel {
    case shutdown, unavailable, expired, historyLost = "history_lost", noPong = "no_pong", token, badRequest = "bad_request"
    case noConnect = "no_connect", operations, person, replaced
    /// It does not read its answers.
    case slow
    /// A message over CLIENT_MESSAGE_MAX_BYTES, and a breach of RFC 6455.
    case tooLarge = "too_large", breach
    case other

    init(_ disconnect: Disconnect) {
        switch disconnect.code {
        case 3000: self = .noConnect
        case 3001: self = .shutdown
        case 3004: self = .unavailable
        case 3005: self = .expired
        case 3008: self = .slow
        case 3010: self = .historyLost
        case 3012: self = .noPong
        case 1009: self = .tooLarge
        case 1002, 1007: self = .breach
        case 3013: self = .operations
        case 4001: self = .person
        case 3500: self = .token
        case 3501: self = .badRequest
        case 3503: self = .replaced
        default: self = .other
        }
    }
}

/// Why a command about a channel was refused.
enum SubscriptionRefusalLabel: String, MetricLabel {
    case permission, limit, unrecoverable, unavailable, other

    init(_ error: ReplyError) {
        switch error.code {
        case 100: self = .unavailable
        case 103: self = .permission
        case 106: self = .limit
        case 112: self = .unrecoverable
        default: self = .other
        }
    }
}

/// All that the gateway counts.
struct GatewayMetrics {
    let doors: DoorMetrics
    let delivery: DeliveryMetrics
    let registry: RegistryMetrics
    let calls: CallMetrics
    let channels: ChannelMetrics

    init(_ metrics: Metrics) {
        doors = DoorMetrics(metrics)
        delivery = DeliveryMetrics(metrics)
        registry = RegistryMetrics(metrics)
        calls = CallMetrics(metrics)
        channels = ChannelMetrics(metrics)
    }
}

/// Connections that come and go.
struct DoorMetrics {
    let connections: Labeled<TransportLabel, Gauge>
    let admissions: Counter
    let refusals: Labeled<RefusalLabel, Counter>
    let disconnects: Labeled<DisconnectLabel, Counter>
    let revocations: Counter
    let firstUpdate: Labeled<TransportLabel, Labeled<ClientName, Histogram>>

    init(_ metrics: Metrics) {
        connections = metrics.gauge("carillon_gateway_connections", "Connections held.", by: "transport")
        admissions = metrics.counter(
            "carillon_gateway_admissions_total", "Newcomers that ADMISSION_RATE let in.")
        refusals = metrics.counter("carillon_gateway_refusals_total", "Newcomers that were not taken.", by: "reason")
        disconnects = metrics.counter(
            "carillon_gateway_disconnects_total", "Connections that the gateway closed.", by: "reason")
        revocations = metrics.counter("carillon_gateway_revocations_total", "Revocations that this gateway was asked for.")
        firstUpdate = metrics.histogram(
            "carillon_first_update_seconds", "From the acceptance of a connection to the first frame with its state.",
            by: "transport", TransportLabel.self, and: "client", ClientName.self)
    }
}

/// Batches from Redis, and what clients are sent.
struct DeliveryMetrics {
    let deliveries: Labeled<TransportLabel, Counter>
    let batches: Counter
    let malformed: Counter
    let gaps: Counter
    let catchUps: Counter
    let reconciliations: Counter
    let ghosts: Counter
    let delays: DeliveryDelays

    init(_ metrics: Metrics) {
        deliveries = metrics.counter(
            "carillon_gateway_deliveries_total", "Notifications written to clients.", by: "transport")
        batches = metrics.counter("carillon_gateway_batches_total", "Batches heard from Redis.")
        malformed = metrics.counter("carillon_gateway_malformed_batches_total", "Batches that could not be read.")
        gaps = metrics.counter("carillon_gateway_gaps_total", "Times that a batch was found missing, or late.")
        catchUps = metrics.counter(
            "carillon_gateway_catch_ups_total", "Times that a session went from live to reading its inbox.")
        reconciliations = metrics.counter(
            "carillon_gateway_reconciliations_total", "Walks that compared all sessions with their inboxes.")
        ghosts = metrics.counter(
            "carillon_gateway_ghost_messages_total", "Messages for connections that are not held any more.")
        delays = DeliveryDelays(metrics)
    }
}

/// Removals from Redis.
struct RegistryMetrics {
    let removalsWaiting: Gauge
    let removalsDropped: Counter

    init(_ metrics: Metrics) {
        removalsWaiting = metrics.gauge(
            "carillon_gateway_route_removals_waiting", "Routes, and watchers of channels, whose removal failed and is tried again.")
        removalsDropped = metrics.counter(
            "carillon_gateway_route_removals_dropped_total",
            "Routes, and watchers of channels, that too many before them left to the sweep after this process.")
    }
}

/// Calls of clients.
struct CallMetrics {
    let made: Labeled<CallLabel, Counter>
    let refusals: Labeled<CallRefusalLabel, Counter>
    let acknowledgements: Labeled<TransportLabel, Labeled<ClientName, Histogram>>

    init(_ metrics: Metrics) {
        made = metrics.counter("carillon_gateway_calls_total", "Calls of clients, by rpc, send and REST.", by: "method")
        refusals = metrics.counter(
            "carillon_gateway_call_refusals_total", "Calls of clients that were not carried out.", by: "reason")
        acknowledgements = metrics.histogram(
            "carillon_client_delivery_seconds",
            "From the acceptance of an event to its acknowledgement by a client that was connected.", by: "transport",
            TransportLabel.self, and: "client", ClientName.self)
    }
}

/// Channels and who watches them.
struct ChannelMetrics {
    let watched: Gauge
    let subscriptions: Gauge
    let refusals: Labeled<SubscriptionRefusalLabel, Counter>
    let unsubscribes: Counter
    let deliveries: Counter

    init(_ metrics: Metrics) {
        watched = metrics.gauge("carillon_gateway_channels", "Channels that somebody here watches.")
        subscriptions = metrics.gauge("carillon_gateway_subscriptions", "Subscriptions to channels.")
        refusals = metrics.counter(
            "carillon_gateway_subscription_refusals_total", "Commands about channels that were refused.", by: "reason")
        unsubscribes = metrics.counter(
            "carillon_gateway_unsubscribes_total", "Subscriptions that the gateway ended, to be made again.")
        deliveries = metrics.counter(
            "carillon_gateway_channel_deliveries_total", "Posts written to watchers of channels.")
    }
}
