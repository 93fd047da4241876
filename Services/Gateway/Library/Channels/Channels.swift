import Centrifuge
import EventLoop
import Models
import Network
import ServiceRuntime
import Store

/// The channels that connections of one loop watch: subscriptions begin and end here, and posts of a batch come here. Loop
/// thread only.
///
/// A post is encoded once for all watchers that are abreast of the channel. A gap is read once for all of them. An idle
/// subscription has no timer and costs no command.
final class Channels {
    let streams: ChannelStreams
    let presence: ChannelPresence
    let posts: PostRun
    private(set) lazy var comparison = ChannelComparison(of: self, streams: streams, lease: lease, settings: settings)
    private let lease: GatewayLease
    private let removals: Removals
    private let clients: Clients
    private let settings: GatewaySettings
    private let metrics: GatewayMetrics
    private var channels: [ChannelID: Channel] = [:]

    init(
        streams: ChannelStreams, presence: ChannelPresence, lease: GatewayLease, removals: Removals, clients: Clients,
        settings: GatewaySettings, metrics: GatewayMetrics
    ) {
        self.streams = streams
        self.presence = presence
        posts = PostRun(metrics: metrics)
        self.lease = lease
        self.removals = removals
        self.clients = clients
        self.settings = settings
        self.metrics = metrics
        removals.watchers = self
    }

    /// The channel; nil if nobody here watches it.
    subscript(id: ChannelID) -> Channel? { channels[id] }

    /// Compares every channel with its stream.
    func compareAll() { comparison.compareAll(Array(channels.keys)) }

    /// Reads a page of a channel's stream. The reply is nil if it could not be read.
    func page(of id: ChannelID, after position: StreamPosition, _ reply: @escaping (InboxPage?) -> Void) {
        streams.page(of: id, from: .after(position), limit: settings.sending.pageEntries, bytes: settings.sending.bytes) {
            reply(try? $0.get())
        }
    }

    // MARK: Coming

    /// The answer to a watch.
    struct Joined {
        /// Where the subscription begins, before the entries of the page.
        var start: StreamPosition
        var recovered: Bool
        var entries: [InboxEntry]
    }

    /// Registers a subscription that begins at `start`. The reply comes before anything of the channel is written to the
    /// client. It never comes if the subscription ends before that. After a failure the caller has to end the subscription.
    func join(
        _ subscription: Subscription, from start: InboxStart, rejectsUnrecovered: Bool,
        reply: @escaping (Result<Joined, ReplyError>) -> Void
    ) {
        guard let newcomer = watcher(subscription) else { return }
        let channel = admit(subscription)
        streams.watch(
            channel.id, at: lease.instance, [newcomer], count: channel.count, from: start, limit: settings.sending.pageEntries,
            bytes: settings.sending.bytes
        ) { [self] result in
            // If the subscription has ended meanwhile, its removal was sent behind the watch.
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
            // The client may have been closed because it does not read its answers.
            guard subscription.phase == .joined else { return }
            begin(subscription, channel, page, recovered: joined.recovered)
            if crowd.changed > 0 {
                presence.tell(crowd, of: channel.id, joins: true, newcomer.info, here: channels[channel.id], but: subscription)
            }
            if subscription.epochNumber != lease.epochNumber { comparison.failed(channel.id) }
            client.subscribeAnswered(channel.id)
        }
    }

    /// Counts a subscription whose watch is about to be sent.
    private func admit(_ subscription: Subscription) -> Channel {
        let channel =
            channels[subscription.id] ?? Channel(subscription.id, of: self, epochNumber: lease.epochNumber)
        channels[subscription.id] = channel
        metrics.channels.watched.set(channels.count)
        subscription.channel = channel
        subscription.phase = .joining
        subscription.epochNumber = lease.epochNumber
        channel.count.watchers += 1
        if subscription.listens { channel.count.listeners += 1 }
        metrics.channels.subscriptions.add()
        return channel
    }

    /// Compares the position of a newcomer with that of its channel. The first watcher sets the channel's position.
    private func begin(_ subscription: Subscription, _ channel: Channel, _ page: InboxPage, recovered: Bool) {
        let top = page.state.position
        metrics.channels.deliveries.increment(by: page.entries.count)
        if channel.session.position.epoch == 0 {
            channel.session.begin(at: top)
            _ = channel.session.pageBegins(epoch: top.epoch, recovered: true)
            channel.perform(channel.session.pageEnds(top: top.offset, isComplete: true, isFull: false))
        } else if channel.session.position.epoch != top.epoch {
            // One of the two positions is of a stream that is no more. A read shows which.
            subscription.from = top.offset
            return channel.perform(channel.session.verify(isFull: false))
        }
        let isComplete = !recovered || page.isComplete
        let position = isComplete ? top : page.end
        if isComplete, top.offset >= channel.session.position.offset {
            subscription.from = top.offset
        } else {
            let lag = Lag(Session(at: position), of: subscription)
            subscription.lag = lag
            lag.verify()
        }
    }

    /// What Redis notes of the connection; nil if the subscription has ended.
    func watcher(_ subscription: Subscription) -> Watcher? {
        guard let client = subscription.client, let identity = client.identity else { return nil }
        let connection = lease.connection(client.name)
        return Watcher(
            connection: connection, person: identity.person,
            info: ClientInfo(person: identity.person, connection: connection, info: identity.grants?.info).json)
    }

    // MARK: Going

    /// Ends a subscription in any phase. A second call does nothing.
    func unsubscribe(_ subscription: Subscription) {
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
        metrics.channels.subscriptions.subtract()
        if channel.count.watchers == 0 {
            channels[channel.id] = nil
            metrics.channels.watched.set(channels.count)
        }
        remove(client, from: channel.id, as: lease.connection(client.name))
        if subscription.epochNumber != lease.epochNumber, let former = lease.formerConnection(client.name) {
            remove(client, from: channel.id, as: former)
        }
    }

    private func remove(_ client: WebSocketClient, from channel: ChannelID, as connection: ConnectionID) {
        let info = ClientInfo(
            person: client.identity?.person, connection: connection, info: client.identity?.grants?.info)
        removals.remove(
            .watcher(WatcherRemoval(channel: channel, instance: connection.instance, connection: connection, info: info.json)))
    }

    /// Ends a subscription and tells the client. The code says whether the client should subscribe again.
    func unsubscribe(_ subscription: Subscription, _ why: Unsubscribe) {
        let client = subscription.client
        unsubscribe(subscription)
        metrics.channels.unsubscribes.increment()
        client?.write(.unsubscribe(subscription.id, why))
    }

    // MARK: What comes

    /// A batch has a line for a channel's watchers.
    func heard(_ range: Range<Int>, of message: [UInt8]) throws(JSONError) {
        let line = try ChannelLine.read(message.span, range)
        guard let channel = channels[line.channel] else {
            guard case .post = line.kind else { return }
            // Nobody here watches the channel. The note of it in Redis is removed.
            metrics.delivery.ghosts.increment()
            return removals.remove(
                .watcher(WatcherRemoval(channel: line.channel, instance: lease.instance, connection: nil, info: [])))
        }
        switch line.kind {
        case .post(let position, let body):
            let verdict = channel.session.announced(position, isFull: false)
            guard verdict == .send else { return channel.perform(verdict) }
            var post = Post(position: position, push: SharedPush(.post(channel.id, position.offset, message[body])))
            post.accepted = line.accepted
            post.priority = line.priority ?? Publication(message, body).statedPriority() ?? .normal
            posts.add(post, to: channel)
        case .join(let info): tell(channel, .join(channel.id, message[info]))
        case .leave(let info): tell(channel, .leave(channel.id, message[info]))
        case .unknown: break
        }
    }

    private func tell(_ channel: Channel, _ push: Push) {
        posts.deliver()
        presence.tell(channel, push, but: nil)
    }
}

extension Channels: WatcherKeeper {
    func isNotedAgain(_ removal: WatcherRemoval) -> Bool {
        guard removal.instance == lease.instance, let connection = removal.connection else { return false }
        let name = LocalConnection(index: connection.index, generation: connection.generation)
        guard let phase = (clients[name] as? WebSocketClient)?.watching?.find(removal.channel)?.phase else { return false }
        return phase == .joining || phase == .joined
    }

    func unwatch(_ removal: WatcherRemoval, _ done: @escaping (Bool) -> Void) {
        let count = removal.instance == lease.instance ? channels[removal.channel]?.count : nil
        streams.unwatch(
            removal.channel, at: removal.instance, removal.connection.map { [$0] } ?? [],
            count: count ?? WatcherCount(watchers: 0, listeners: 0)
        ) { [self] result in
            guard case .success(let crowd) = result else { return done(false) }
            let here = channels[removal.channel]
            if crowd.changed > 0 {
                presence.tell(crowd, of: removal.channel, joins: false, removal.info, here: here, but: nil)
            }
            if here == nil { streams.forget(removal.channel, at: removal.instance) { _ in } }
            done(true)
        }
    }
}
