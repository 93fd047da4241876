import Centrifuge
import Models
import Network
import ServiceRuntime
import Store

/// A watcher that is behind its channel. It reads the stream by itself until it is abreast. Loop thread only.
final class Lag {
    var session: Session
    /// Its read failed, and is to be repeated.
    var isStalled = false
    /// The subscription holds this object until it is abreast or has ended.
    let subscription: Subscription

    init(_ session: Session, of subscription: Subscription) {
        self.session = session
        self.subscription = subscription
    }

    /// Something may have been lost: it reads, unless the client can take nothing.
    func verify() { perform(session.verify(isFull: isHeld)) }
}

// A lagging watcher reads the channel's stream.
extension Lag: StreamReader {
    private var channels: Channels? { subscription.client?.node.channels }

    var hasEnded: Bool { subscription.client == nil || subscription.lag !== self }
    var isHeld: Bool { subscription.client?.takesNothing() ?? true }

    func requestPage(_ reply: @escaping (InboxPage?) -> Void) {
        channels?.page(of: subscription.id, after: session.position, reply)
    }

    func hasRoom(for bytes: Int) -> Bool { subscription.client?.hasRoom(for: bytes) ?? false }

    func write(_ entry: InboxEntry, at position: StreamPosition, now: Int64) {
        guard let client = subscription.client else { return }
        client.write(.post(subscription.id, entry.offset, entry.bytes[...]))
        client.node.metrics.channels.deliveries.increment()
    }

    /// A watcher that has caught up shares the channel's position again.
    func rests() {
        guard let channel = subscription.channel, session.phase == .live, session.position.epoch == channel.session.position.epoch,
            session.position.offset >= channel.session.position.offset
        else { return }
        subscription.from = session.position.offset
        subscription.lag = nil
    }

    func lose() { channels?.unsubscribe(subscription, .insufficientState) }

    func readFailed() {
        if !isStalled { channels?.comparison.failed(self) }
        isStalled = true
    }
}

extension Session {
    /// The session of a reader that has everything up to a position.
    init(at position: StreamPosition) {
        self.init()
        begin(at: position)
        _ = pageBegins(epoch: position.epoch, recovered: true)
        _ = pageEnds(top: position.offset, isComplete: true, isFull: true)
    }
}

extension Subscription {
    /// Whether the watcher is to be sent this post now.
    func isDue(_ position: StreamPosition, _ client: WebSocketClient, _ metrics: GatewayMetrics) -> Bool {
        if let lag {
            let verdict = lag.session.announced(position, isFull: client.takesNothing())
            lag.perform(verdict)
            return verdict == .send
        }
        guard position.offset > from else { return false }
        guard client.takesNothing() else { return true }
        // From here on the watcher reads the stream.
        metrics.delivery.catchUps.increment()
        let lag = Lag(Session(at: StreamPosition(epoch: position.epoch, offset: position.offset - 1)), of: self)
        _ = lag.session.announced(position, isFull: true)
        self.lag = lag
        return false
    }

    /// The client can take something again.
    func drained() {
        guard let lag, let client, !client.takesNothing() else { return }
        lag.perform(lag.session.drained())
    }
}
