import Centrifuge
import EventLoop
import Models
import ServiceRuntime
import Store

/// The hot path: it takes a batch from Redis to the sockets, by plain calls. Loop thread only.
final class Dispatcher {
    private let lease: GatewayLease
    private let clients: Clients
    private let registry: Registry
    private let credentials: CredentialCheck
    private let channels: Channels
    private let metrics: GatewayMetrics
    /// Called when a batch is found missing, or cannot be read.
    private let onLoss: () -> Void

    init(
        lease: GatewayLease, clients: Clients, registry: Registry, credentials: CredentialCheck, channels: Channels,
        metrics: GatewayMetrics, onLoss: @escaping () -> Void
    ) {
        self.lease = lease
        self.clients = clients
        self.registry = registry
        self.credentials = credentials
        self.channels = channels
        self.metrics = metrics
        self.onLoss = onLoss
    }

    /// A message of this gateway's channel.
    func heard(_ message: [UInt8]) {
        metrics.delivery.batches.increment()
        var at = 0
        defer { channels.posts.deliver() }
        do throws(JSONError) {
            let head = try GatewayMessage.head(message.span, &at)
            let isLate = lease.heard(batch: head.sequence)
            while let pair = try GatewayMessage.pair(message.span, &at) { try deliver(pair, of: message) }
            if isLate { onLoss() }
        } catch {
            // The inboxes hold what the batch said. They are read.
            metrics.delivery.malformed.increment()
            onLoss()
        }
    }

    private func deliver(_ pair: GatewayMessage.Pair, of message: [UInt8]) throws(JSONError) {
        // An empty line of recipients means that the next line is for a channel's watchers.
        if pair.recipients.count == 2 { return try channels.heard(pair.notification, of: message) }
        var publication = Publication(message, pair.notification)
        let now = EventLoop.wallClock()
        let line = message.span.extracting(pair.recipients)
        var at = 0
        var recipients = try GatewayRecipients(line, &at)
        var control: Control?
        while let recipient = try recipients.next(line, &at) {
            if recipient.connection == .everyone {
                try credentials.heard(message.span.extracting(pair.notification))
                continue
            }
            guard let client = clients[recipient.connection] else {
                registry.removeGhost(recipient.connection)
                continue
            }
            guard let position = recipient.position else {
                if control == nil { control = try Control.decode(message.span.extracting(pair.notification)) }
                if let control { obey(control, client) }
                continue
            }
            publication.isOf(recipient.priority)
            deliver(&publication, at: position, delay: delay(since: recipient.accepted, now), to: client)
        }
    }

    private func deliver(
        _ publication: inout Publication, at position: StreamPosition, delay: Int64?, to client: Client
    ) {
        if let flow = client.flow { return deliver(&publication, at: position, delay: delay, to: client, flow) }
        let wasLive = client.session.phase == .live
        switch client.session.announced(position, isFull: client.isFull()) {
        case .send:
            client.write(&publication, at: position)
            written(&publication, delay: delay, to: client)
        case .keep:
            if wasLive, client.session.phase != .live { metrics.delivery.catchUps.increment() }
        case .read:
            metrics.delivery.catchUps.increment()
            client.perform(.read)
        case .lose: client.perform(.lose)
        }
    }

    /// Measures a live notification that was written.
    private func written(_ publication: inout Publication, delay: Int64?, to client: Client) {
        metrics.delivery.deliveries[TransportLabel(client.transport)].increment()
        metrics.delivery.delays.observe(delay, publication.priority(), client.transport)
    }

    // MARK: Clients that control their flow

    private func deliver(
        _ publication: inout Publication, at position: StreamPosition, delay: Int64?, to client: Client, _ flow: Flow
    ) {
        let wasLive = client.session.phase == .live
        switch client.session.announced(position, isFull: client.isHeld) {
        case .send:
            guard !flow.control.wentAhead(position.offset) else { break }
            flow.control.sent(position.offset, now: client.node.loop.now)
            client.write(&publication, at: position)
            written(&publication, delay: delay, to: client)
        case .keep:
            if wasLive, client.session.phase != .live { metrics.delivery.catchUps.increment() }
            sendAhead(&publication, at: position, delay: delay, to: client, flow)
        case .read:
            metrics.delivery.catchUps.increment()
            client.perform(.read)
        case .lose: client.perform(.lose)
        }
        client.node.sessions.settle(client)
    }

    /// High priority passes a rate. Such a publication carries the position of the flow in place of its own, so that a client
    /// that recovers from it misses nothing that still waits.
    private func sendAhead(
        _ publication: inout Publication, at position: StreamPosition, delay: Int64?, to client: Client, _ flow: Flow
    ) {
        let session = client.session
        guard session.phase == .waiting, position.epoch == session.position.epoch,
            position.offset > session.position.offset, !client.isFull(), publication.priority() == .high,
            flow.control.goesAhead(position.offset)
        else { return }
        client.write(&publication, at: session.position)
        written(&publication, delay: delay, to: client)
    }

    // MARK: Control lines

    private func obey(_ control: Control, _ client: Client) {
        switch control {
        case .read(let counts): client.tell(counts)
        case .close(let code): if let disconnect = Disconnect(ordered: code) { client.disconnect(disconnect) }
        case .unknown: break
        }
    }
}
