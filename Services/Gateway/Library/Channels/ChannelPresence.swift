import Centrifuge
import EventLoop
import Models
import Network
import ServiceRuntime
import Store

/// Tells listeners that somebody came to a channel or left it: at once here, and at the end of the turn elsewhere. These are
/// hints. A client that misses one can ask who is there. Loop thread only.
final class ChannelPresence {
    /// So many bytes of joins and leaves go to one gateway together.
    static let maximumTidings = 256 << 10

    private let loop: EventLoop
    private let lease: GatewayLease
    private let router: any Router
    /// Watchers are told of each other if a channel has no more than so many.
    private let limit: Int
    /// Joins and leaves for other gateways. They are sent at the end of the turn.
    private var tidings: [InstanceID: GatewayBatch] = [:]

    init(loop: EventLoop, lease: GatewayLease, router: any Router, limit: Int) {
        self.loop = loop
        self.lease = lease
        self.router = router
        self.limit = limit
    }

    /// - Parameters:
    ///   - here: the channel, if somebody of this loop watches it.
    ///   - one: the subscription that came or left. It is not told.
    func tell(
        _ crowd: Crowd, of id: ChannelID, joins: Bool, _ info: [UInt8], here: Channel?, but one: Subscription?
    ) {
        guard crowd.total <= limit else { return }
        for instance in crowd.listeners {
            if instance == lease.instance {
                if let here { tell(here, joins ? .join(id, info[...]) : .leave(id, info[...]), but: one) }
                continue
            }
            if tidings.isEmpty { loop.atTurnEnd { self.send() } }
            tidings[instance, default: GatewayBatch()].presence(id, joins: joins, info)
            if tidings[instance]?.lines.count ?? 0 > Self.maximumTidings { send() }
        }
    }

    private func send() {
        let all = tidings
        tidings = [:]
        for (instance, batch) in all {
            var batch = batch
            router.publish(batch.take(), to: instance) { _ in }
        }
    }

    /// Tells the listeners of this loop.
    func tell(_ channel: Channel, _ push: Push, but one: Subscription?) {
        guard channel.count.listeners > 0 else { return }
        var shared = SharedPush(push)
        for subscription in channel.subscriptions where subscription.listens && subscription !== one {
            // A client that reads nothing is not told, so that nothing queues for it.
            guard let client = subscription.client, !client.takesNothing() else { continue }
            client.stream.write(shared.frame(client.codec))
        }
    }
}
