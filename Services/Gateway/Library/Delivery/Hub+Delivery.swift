import EventLoop
import Models
import ServiceRuntime

extension Hub: LeaseFollower {
    var connectionCount: Int { slab.count }

    func redisIsUp() { retryRemovals() }

    func compareAll() { startWalk() }

    func stopComparing() { walk.stop() }

    func lossNoticed() {
        metrics.gaps.increment()
        startWalk()
    }
}

// The hot path: batches from Redis to sockets.
extension Hub {
    /// One message of this gateway's channel.
    func heard(_ message: [UInt8]) {
        metrics.batches.increment()
        var at = 0
        defer { channels.deliverRun() }
        do throws(JSONError) {
            let head = try GatewayMessage.head(message.span, &at)
            let isLate = lease.heard(batch: head.sequence)
            while let pair = try GatewayMessage.pair(message.span, &at) { try deliver(pair, of: message) }
            if isLate { lossNoticed() }
        } catch {
            // What it said is in the inboxes: read it there.
            metrics.malformed.increment()
            lossNoticed()
        }
    }

    private func deliver(_ pair: GatewayMessage.Pair, of message: [UInt8]) throws(JSONError) {
        // An empty line of recipients stands before a line for a channel's watchers.
        if pair.recipients.count == 2 { return try channels.heard(pair.notification, of: message) }
        var publication = Publication(message, pair.notification)
        let now = EventLoop.wallClock()
        let line = message.span.extracting(pair.recipients)
        var at = 0
        var recipients = try GatewayRecipients(line, &at)
        var control: Control?
        while let recipient = try recipients.next(line, &at) {
            if recipient.connection == .everyone {
                try heardRevocation(message.span.extracting(pair.notification))
                continue
            }
            guard let client = slab[recipient.connection] else {
                removeGhost(recipient.connection)
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
            if wasLive, client.session.phase != .live { metrics.catchUps.increment() }
        case .read:
            metrics.catchUps.increment()
            perform(.read, for: client)
        case .lose:
            perform(.lose, for: client)
        }
    }

    /// A live notification was written.
    func written(_ publication: inout Publication, delay: Int64?, to client: Client) {
        metrics.deliveries[TransportLabel(client.transport)].increment()
        metrics.delays.observe(delay, publication.priority(), client.transport)
    }
}
