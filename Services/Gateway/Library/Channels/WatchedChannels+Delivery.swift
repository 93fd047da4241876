import Centrifuge
import EventLoop
import Models
import Network
import Redis
import ServiceRuntime
import Store

// What comes to a channel, and the reads that bring it, or one watcher of it, up to its stream.
extension WatchedChannels {
    /// A line for a channel's watchers, out of a batch.
    func heard(_ range: Range<Int>, of message: [UInt8]) throws(JSONError) {
        let line = try ChannelLine.read(message.span, range)
        guard let channel = channels[line.channel] else {
            guard case .post = line.kind else { return }
            // Nobody here watches it: the note that says so is one too many.
            hub.metrics.ghosts.increment()
            return remove(WatcherRemoval(channel: line.channel, instance: hub.lease.instance, connection: nil, info: []))
        }
        switch line.kind {
        case .post(let position, let body):
            let verdict = channel.session.announced(position, isFull: false)
            guard verdict == .send else { return perform(verdict, for: channel) }
            var post = Post(position: position, push: SharedPush(.post(channel.id, position.offset, message[body])))
            post.accepted = line.accepted
            post.priority = line.priority ?? Publication(message, body).statedPriority() ?? .normal
            add(channel, post)
        case .join(let info):
            deliverRun()
            tell(channel, .join(channel.id, message[info]), but: nil)
        case .leave(let info):
            deliverRun()
            tell(channel, .leave(channel.id, message[info]), but: nil)
        case .unknown: break
        }
    }

    private func add(_ channel: WatchedChannel, _ post: Post) {
        if run.channel !== channel { deliverRun() }
        run.channel = channel
        run.posts.append(post)
    }

    /// One post on its way to all who watch.
    struct Post {
        var position: StreamPosition
        var push: SharedPush
        /// ms since 1970, as in `NotificationRecord`; 0: not known.
        var accepted: Int64 = 0
        var priority = Priority.normal
        /// Watchers whom it was written to by itself.
        var written = 0
    }

    /// Posts to one channel that a batch, or a page of its stream, brought one after another.
    struct Run {
        var channel: WatchedChannel?
        var posts: [Post] = []
    }

    /// Watchers whose turn comes while the kernel writes to those before them.
    private static let fetchedAhead = 4

    /// Writes the posts that have gathered: to a watcher that is abreast all in one write, of bytes that all of them share. To be
    /// called when a batch or a page ends.
    func deliverRun() {
        guard let channel = run.channel else { return }
        var posts = run.posts
        run = Run()
        guard let first = posts.first else { return }
        var shared = PerCodec<[UInt8]>()
        // Of those who take them compressed.
        var packed = PerCodec<[[UInt8]]>()
        // Watchers who took all of them at once.
        var abreast = 0
        for (place, subscription) in channel.subscriptions.enumerated() {
            // Thousands who have slept since the last post: what the processor must fetch for them would be most of our share.
            channel.fetch(place + Self.fetchedAhead)
            guard let client = subscription.client else { continue }
            let codec = client.codec
            if subscription.lag == nil, first.position.offset > subscription.from, !client.isDeflating, !client.takesNothing() {
                client.stream.writeThrough(shared.value(codec) { Self.joined(&posts, codec) })
                abreast += 1
                continue
            }
            for index in posts.indices where isDue(posts[index].position, for: subscription, client) {
                let frame =
                    client.isDeflating
                    ? packed.value(codec) { posts.indices.map { client.deflated(posts[$0].push.frame(codec)) } }[index]
                    : posts[index].push.frame(codec)
                client.stream.write(frame)
                posts[index].written += 1
            }
        }
        let now = EventLoop.wallClock()
        for post in posts {
            let written = abreast + post.written
            hub.metrics.channelDeliveries.increment(by: written)
            hub.metrics.delays.observe(delay(since: post.accepted, now), post.priority, .websocket, times: written)
        }
    }

    /// The posts' frames, one behind the other.
    private static func joined(_ posts: inout [Post], _ codec: Codec) -> [UInt8] {
        guard posts.count > 1 else { return posts[0].push.frame(codec) }
        var frames: [UInt8] = []
        for index in posts.indices { frames += posts[index].push.frame(codec) }
        return frames
    }

    /// Whether the watcher is to be sent this post now.
    private func isDue(_ position: StreamPosition, for subscription: Subscription, _ client: WebSocketClient) -> Bool {
        if let lag = subscription.lag {
            let verdict = lag.session.announced(position, isFull: client.takesNothing())
            if verdict == .send { settle(subscription) } else { perform(verdict, for: subscription) }
            return verdict == .send
        }
        guard position.offset > subscription.from else { return false }
        guard client.takesNothing() else { return true }
        // From here on the stream is its queue.
        hub.metrics.catchUps.increment()
        let lag = Subscription.Lag(Session(at: StreamPosition(epoch: position.epoch, offset: position.offset - 1)))
        _ = lag.session.announced(position, isFull: true)
        subscription.lag = lag
        return false
    }

    /// A watcher that has caught up with its channel shares its position again.
    private func settle(_ subscription: Subscription) {
        guard let session = subscription.lag?.session, let channel = subscription.channel, session.phase == .live,
            session.position.epoch == channel.session.position.epoch,
            session.position.offset >= channel.session.position.offset
        else { return }
        subscription.from = session.position.offset
        subscription.lag = nil
    }

    /// The client can take something again.
    func drained(_ subscription: Subscription) {
        guard let lag = subscription.lag, let client = subscription.client, !client.takesNothing() else { return }
        perform(lag.session.drained(), for: subscription)
    }

    // MARK: Reading for one

    func perform(_ verdict: Session.Verdict, for subscription: Subscription) {
        switch verdict {
        case .send, .keep: settle(subscription)
        case .read: read(subscription)
        case .lose: end(subscription, .insufficientState)
        }
    }

    private func read(_ subscription: Subscription) {
        guard let lag = subscription.lag else { return }
        streams.page(
            of: subscription.id, from: .after(lag.session.position), limit: hub.settings.pageEntries,
            bytes: hub.settings.sendBytes
        ) { [self] result in
            guard let client = subscription.client, subscription.lag === lag else { return }
            guard case .success(let page) = result else {
                lag.session.readFailed()
                if !lag.isStalled { stalledSubscriptions.append(subscription) }
                lag.isStalled = true
                return
            }
            let verdict = lag.session.pageBegins(epoch: page.state.epoch, recovered: page.recovered)
            guard verdict == .read else { return perform(verdict, for: subscription) }
            if !client.hasRoom(for: page.entries.reduce(0) { $0 + $1.bytes.count }) { return lag.session.postponed() }
            for entry in page.entries where lag.session.entry(entry.offset) == .send {
                client.write(.post(subscription.id, entry.offset, entry.bytes[...]))
                hub.metrics.channelDeliveries.increment()
            }
            perform(
                lag.session.pageEnds(top: page.state.offset, isComplete: page.isComplete, isFull: client.takesNothing()),
                for: subscription)
        }
    }

    // MARK: Reading for all

    func perform(_ verdict: Session.Verdict, for channel: WatchedChannel) {
        switch verdict {
        case .send, .keep: break
        case .read: read(channel, inWalk: false)
        case .lose: lose(channel)
        }
    }

    private func read(_ channel: WatchedChannel, inWalk: Bool) {
        streams.page(
            of: channel.id, from: .after(channel.session.position), limit: hub.settings.pageEntries,
            bytes: hub.settings.sendBytes
        ) { self.arrived($0, for: channel, inWalk: inWalk) }
    }

    private func arrived(_ result: Result<InboxPage, StoreError>, for channel: WatchedChannel, inWalk: Bool) {
        if channels[channel.id] === channel {
            switch result {
            case .success(let page): take(page, for: channel)
            case .failure:
                channel.session.readFailed()
                stalledChannels.insert(channel.id)
            }
        }
        guard inWalk else { return }
        verifying -= 1
        goOnVerifying()
    }

    private func take(_ page: InboxPage, for channel: WatchedChannel) {
        let verdict = channel.session.pageBegins(epoch: page.state.epoch, recovered: page.recovered)
        guard verdict == .read else { return perform(verdict, for: channel) }
        for entry in page.entries where channel.session.entry(entry.offset) == .send {
            var post = Post(
                position: StreamPosition(epoch: page.state.epoch, offset: entry.offset),
                push: SharedPush(.post(channel.id, entry.offset, entry.bytes[...])))
            post.accepted = entry.accepted
            post.priority = Publication(entry.bytes).statedPriority() ?? .normal
            add(channel, post)
        }
        deliverRun()
        perform(
            channel.session.pageEnds(top: page.state.offset, isComplete: page.isComplete, isFull: false), for: channel)
    }

    /// The stream is another one, or has lost what was not sent yet: each watcher subscribes anew, and is told so then.
    private func lose(_ channel: WatchedChannel) {
        channel.session = Session()
        for subscription in channel.subscriptions { end(subscription, .insufficientState) }
    }

    // MARK: All channels, paced

    /// Compares every channel with its stream, and notes its watchers anew where they stand under a former epoch.
    func verifyAll() {
        toVerify = Array(channels.keys)
        goOnVerifying()
    }

    func verify(_ channel: WatchedChannel) { perform(channel.session.verify(isFull: false), for: channel) }

    func goOnVerifying() {
        guard hub.isReady else {
            stalledChannels.formUnion(toVerify)
            return toVerify = []
        }
        while verifying < hub.settings.reconcileWindow, let id = toVerify.popLast() {
            guard let channel = channels[id] else { continue }
            let isStale = channel.subscriptions.contains { $0.epochNumber != hub.lease.epochNumber }
            if channel.epochNumber != hub.lease.epochNumber || isStale {
                renew(channel)
            } else if channel.session.verify(isFull: false) == .read {
                verifying += 1
                read(channel, inWalk: true)
            }
        }
    }

    /// Notes all watchers of a channel under the present epoch of this instance, in as many calls as it takes; the last
    /// one reads.
    private func renew(_ channel: WatchedChannel) {
        guard channel.session.registerAgain() else {
            stalledChannels.insert(channel.id)
            return
        }
        verifying += 1
        let number = hub.lease.epochNumber
        let subscriptions = channel.subscriptions
        let most = ChannelStreams.maximumItems
        var start = 0
        repeat {
            let some = subscriptions[start..<min(start + most, subscriptions.count)]
            start += most
            let isLast = start >= subscriptions.count
            for subscription in some { subscription.epochNumber = number }
            streams.watch(
                channel.id, at: hub.lease.instance, some.compactMap { watcher($0) }, count: channel.count,
                from: .after(channel.session.position), limit: isLast ? hub.settings.pageEntries : 0,
                bytes: hub.settings.sendBytes
            ) { [self] result in
                guard case .success = result else {
                    for subscription in some { subscription.epochNumber = 0 }
                    stalledChannels.insert(channel.id)
                    if isLast { arrived(result.map(\.0), for: channel, inWalk: true) }
                    return
                }
                guard isLast else { return }
                channel.epochNumber = number
                arrived(result.map(\.0), for: channel, inWalk: true)
                dropFormer(channel.id)
            }
        } while start < subscriptions.count
    }

    /// What stands of this channel under the name that this instance had before, should Redis have lost nothing else.
    private func dropFormer(_ channel: ChannelID) {
        guard let former = hub.lease.formerInstance else { return }
        streams.sweep(former, channel: channel) { [self] result in
            guard case .success(let swept) = result else { return }
            if !swept.infos.isEmpty { dropFormer(channel) } else { streams.forget(channel, at: former) { _ in } }
        }
    }
}
