import Centrifuge
import EventLoop
import Models
import Network
import Redis
import ServiceRuntime
import Store

/// A connection that is to be noted no more among a channel's watchers; nil connection: none of the instance's is.
struct WatcherRemoval {
    var channel: ChannelID
    var instance: InstanceID
    var connection: ConnectionID?
    /// What the others are told of who leaves.
    var info: [UInt8]
}

/// The channels that connections of one hub watch. Loop thread only; plain callbacks.
///
/// What comes to a channel is encoded once and shared by all who are abreast of it. A gap is read once for all of them.
/// An idle subscription costs neither a timer nor a command.
final class WatchedChannels {
    /// Bytes of joins and leaves for one gateway that leave together.
    static let maximumTidings = 256 << 10

    unowned let hub: Hub
    let streams: ChannelStreams
    private(set) var channels: [ChannelID: WatchedChannel] = [:]
    var removals = Backlog<WatcherRemoval>()
    var removalsInFlight = 0
    /// Reads that failed; tried again each second.
    var stalledChannels: Set<ChannelID> = []
    var stalledSubscriptions: [Subscription] = []
    /// Channels to be compared with their streams, and how many of those reads are under way.
    var toVerify: [ChannelID] = []
    var verifying = 0
    /// What the batch in hand has brought for one channel.
    var run = Run()
    /// Joins and leaves for other gateways, which leave at the end of the turn.
    var tidings: [InstanceID: GatewayBatch] = [:]

    init(hub: Hub, streams: ChannelStreams) {
        self.hub = hub
        self.streams = streams
    }

    /// What Redis was told is answered: nothing is left that a drain would have to wait for.
    var isSettled: Bool { removalsInFlight == 0 && (removals.isEmpty || !hub.redis.isUp) }

    // MARK: Coming

    /// What a watch was answered with.
    struct Joined {
        /// Where the subscription begins: before the page's entries.
        var start: StreamPosition
        var recovered: Bool
        var entries: [InboxEntry]
    }

    /// Registers a subscription, from where it wants to go on. The reply comes before anything of the channel is written
    /// to the client, or never, if whoever ends the subscription first has answered for it. A failure leaves it to be ended.
    func join(
        _ subscription: Subscription, from start: InboxStart, rejectsUnrecovered: Bool,
        reply: @escaping (Result<Joined, ReplyError>) -> Void
    ) {
        guard let newcomer = watcher(subscription) else { return }
        let channel = channels[subscription.id] ?? WatchedChannel(subscription.id, epochNumber: hub.lease.epochNumber)
        channels[subscription.id] = channel
        hub.metrics.channels.set(channels.count)
        subscription.channel = channel
        subscription.phase = .joining
        subscription.epochNumber = hub.lease.epochNumber
        channel.count.watchers += 1
        if subscription.listens { channel.count.listeners += 1 }
        hub.metrics.subscriptions.add()
        streams.watch(
            channel.id, at: hub.lease.instance, [newcomer], count: channel.count, from: start, limit: hub.settings.pageEntries,
            bytes: hub.settings.sendBytes
        ) { [self] result in
            // Whoever has ended meanwhile has sent the removal behind the watch.
            guard subscription.phase == .joining, let client = subscription.client else { return }
            guard case .success(let (page, crowd)) = result else { return reply(.failure(.unavailable)) }
            var joined = Joined(start: page.state.position, recovered: false, entries: page.entries)
            if case .after(let position) = start {
                joined.recovered = page.recovered
                if page.recovered { joined.start.offset = position.offset }
                if !page.recovered, rejectsUnrecovered { return reply(.failure(.unrecoverable)) }
            }
            subscription.phase = .joined
            channel.add(subscription, of: client)
            reply(.success(joined))
            // A client that does not read its answers has been closed over this one.
            guard subscription.phase == .joined else { return }
            begin(subscription, channel, page, recovered: joined.recovered)
            if crowd.changed > 0 { tell(crowd, channel.id, joins: true, newcomer.info, but: subscription) }
            if subscription.epochNumber != hub.lease.epochNumber { stalledChannels.insert(channel.id) }
            client.subscribeAnswered(channel.id)
        }
    }

    /// Places a newcomer relative to its channel, whose position the first one gives.
    private func begin(_ subscription: Subscription, _ channel: WatchedChannel, _ page: InboxPage, recovered: Bool) {
        let top = page.state.position
        hub.metrics.channelDeliveries.increment(by: page.entries.count)
        if channel.session.position.epoch == 0 {
            channel.session.begin(at: top)
            _ = channel.session.pageBegins(epoch: top.epoch, recovered: true)
            perform(channel.session.pageEnds(top: top.offset, isComplete: true, isFull: false), for: channel)
        } else if channel.session.position.epoch != top.epoch {
            // One of the two is of a stream that is no more: reading tells.
            subscription.from = top.offset
            return verify(channel)
        }
        let isComplete = !recovered || page.isComplete
        let position = isComplete ? top : page.end
        if isComplete, top.offset >= channel.session.position.offset {
            subscription.from = top.offset
        } else {
            let lag = Subscription.Lag(Session(at: position))
            subscription.lag = lag
            perform(lag.session.verify(isFull: subscription.client?.takesNothing() ?? true), for: subscription)
        }
    }

    /// What Redis keeps of the connection; nil once the subscription has ended.
    func watcher(_ subscription: Subscription) -> Watcher? {
        guard let client = subscription.client, let identity = client.identity else { return nil }
        let connection = hub.connection(of: client)
        return Watcher(
            connection: connection, person: identity.person,
            info: ClientInfo(person: identity.person, connection: connection, info: identity.grants?.info).json)
    }

    // MARK: Going

    /// Ends a subscription, whatever it is doing. A second call does nothing.
    func end(_ subscription: Subscription) {
        guard subscription.phase != .ended, let client = subscription.client else { return }
        let wasJoined = subscription.phase == .joined
        subscription.phase = .ended
        subscription.lag = nil
        client.watching?.remove(subscription)
        defer { subscription.client = nil }
        guard let channel = subscription.channel else { return }
        subscription.channel = nil
        if wasJoined { channel.remove(subscription) }
        channel.count.watchers -= 1
        if subscription.listens { channel.count.listeners -= 1 }
        hub.metrics.subscriptions.subtract()
        if channel.count.watchers == 0 {
            channels[channel.id] = nil
            hub.metrics.channels.set(channels.count)
        }
        remove(client, from: channel.id, at: hub.lease.instance)
        if subscription.epochNumber != hub.lease.epochNumber, let former = hub.lease.formerInstance {
            remove(client, from: channel.id, at: former)
        }
    }

    private func remove(_ client: WebSocketClient, from channel: ChannelID, at instance: InstanceID) {
        let connection = ConnectionID(instance: instance, index: client.name.index, generation: client.name.generation)
        let info = ClientInfo(
            person: client.identity?.person, connection: connection, info: client.identity?.grants?.info)
        remove(WatcherRemoval(channel: channel, instance: instance, connection: connection, info: info.json))
    }

    /// Ends a subscription from our side; the client is told by a code from which it knows whether to come back.
    func end(_ subscription: Subscription, _ why: Unsubscribe) {
        let client = subscription.client
        end(subscription)
        hub.metrics.unsubscribes.increment()
        client?.write(.unsubscribe(subscription.id, why))
    }

    /// Takes a watcher's note from Redis; what fails is tried again until it succeeds ("Compare before you remove").
    func remove(_ removal: WatcherRemoval) {
        guard hub.redis.isUp else { return keep(removal) }
        removalsInFlight += 1
        let count = removal.instance == hub.lease.instance ? channels[removal.channel]?.count : nil
        streams.unwatch(
            removal.channel, at: removal.instance, removal.connection.map { [$0] } ?? [],
            count: count ?? WatcherCount(watchers: 0, listeners: 0)
        ) { [self] result in
            removalsInFlight -= 1
            switch result {
            case .failure: keep(removal)
            case .success(let crowd):
                if crowd.changed > 0 { tell(crowd, removal.channel, joins: false, removal.info, but: nil) }
                if channels[removal.channel] == nil { streams.forget(removal.channel, at: removal.instance) { _ in } }
            }
            hub.onStreamClosed?()
        }
    }

    private func keep(_ removal: WatcherRemoval) {
        hub.metrics.removalsDropped.increment(by: removals.keep(removal))
    }

    /// Once a second: what failed, some at a time.
    func retry() {
        if hub.redis.isUp, removalsInFlight < 1_000, !removals.isEmpty {
            for removal in removals.take(2_000) where !isNotedAgain(removal) { remove(removal) }
        }
        guard hub.isReady else { return }
        let subscriptions = stalledSubscriptions
        stalledSubscriptions = []
        for subscription in subscriptions {
            guard let lag = subscription.lag, let client = subscription.client else { continue }
            lag.isStalled = false
            perform(lag.session.verify(isFull: client.takesNothing()), for: subscription)
        }
        guard !stalledChannels.isEmpty else { return }
        toVerify.append(contentsOf: stalledChannels)
        stalledChannels = []
        goOnVerifying()
    }

    /// The same connection watches the channel anew: what was noted of it is right again.
    private func isNotedAgain(_ removal: WatcherRemoval) -> Bool {
        guard removal.instance == hub.lease.instance, let connection = removal.connection else { return false }
        let name = LocalConnection(index: connection.index, generation: connection.generation)
        guard let phase = (hub.slab[name] as? WebSocketClient)?.watching?.find(removal.channel)?.phase else { return false }
        return phase == .joining || phase == .joined
    }

    // MARK: Presence

    /// Tells those who listen that somebody came or went: here at once, elsewhere at the end of the turn.
    private func tell(_ crowd: Crowd, _ channel: ChannelID, joins: Bool, _ info: [UInt8], but one: Subscription?) {
        guard crowd.total <= hub.settings.presenceMax else { return }
        for instance in crowd.listeners {
            if instance == hub.lease.instance {
                if let channel = channels[channel] {
                    tell(channel, joins ? .join(channel.id, info[...]) : .leave(channel.id, info[...]), but: one)
                }
                continue
            }
            if tidings.isEmpty { hub.loop.atTurnEnd { self.sendTidings() } }
            tidings[instance, default: GatewayBatch()].presence(channel, joins: joins, info)
            if tidings[instance]?.lines.count ?? 0 > Self.maximumTidings { sendTidings() }
        }
    }

    private func sendTidings() {
        let all = tidings
        tidings = [:]
        for (instance, batch) in all {
            var batch = batch
            // A hint: whoever misses it can ask who is there.
            hub.gateways.publish(batch.take(), to: instance) { _ in }
        }
    }

    func tell(_ channel: WatchedChannel, _ push: Push, but one: Subscription?) {
        guard channel.count.listeners > 0 else { return }
        var shared = SharedPush(push)
        for subscription in channel.subscriptions where subscription.listens && subscription !== one {
            // Who reads nothing is not told: these are hints, and nothing queues for her.
            guard let client = subscription.client, !client.takesNothing() else { continue }
            client.stream.write(shared.frame(client.codec))
        }
    }
}
