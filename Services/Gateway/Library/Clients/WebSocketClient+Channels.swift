import Centrifuge
import Models
import Network
import ServiceRuntime
import Store

// The commands of a client about channels.
extension WebSocketClient {
    /// Carries out a command. If a `subscribe` of the same channel has no reply yet, the command waits behind it. As many
    /// commands may wait as there may be subscriptions.
    func handle(_ id: UInt64, _ command: ChannelCommand) {
        guard let watching, let channel = ChannelID(subscribed: command.channel), watching.order.unanswered(channel) != nil else {
            return obey(id, command)
        }
        guard watching.order.waiting < node.settings.watching.maxSubscriptions,
            watching.order.wait(CommandOrder.Waiting(id: id, command: command), channel)
        else { return refuse(id, .overLimit) }
    }

    private func obey(_ id: UInt64, _ command: ChannelCommand) {
        switch command {
        case .subscribe(let request): subscribe(id, request)
        case .unsubscribe(let name):
            if let subscription = subscription(name) { node.channels.unsubscribe(subscription) }
            answer(.unsubscribe, to: id)
        case .presence(let name): presence(id, name, limit: node.settings.watching.presenceMax)
        case .presenceStats(let name): presence(id, name, limit: nil)
        case .history(let request): history(id, request)
        }
    }

    // MARK: Before the connect is answered

    /// Keeps a command until the connect is answered. Answers false if as many wait as there may be subscriptions: SDKs send no
    /// more so early.
    func hold(_ command: Command) -> Bool {
        let watching = watching ?? Watching()
        self.watching = watching
        guard watching.held.count < max(1, node.settings.watching.maxSubscriptions) else { return false }
        watching.held.append(command)
        return true
    }

    /// Refuses a command that is not carried out. Only the command is refused: an SDK that asks for more channels than it may
    /// keeps the others.
    func refuse(_ command: Command, _ error: ReplyError) {
        switch command {
        case .channel(let id, _): refuse(id, error)
        case .refresh(let id, _), .rpc(let id, _), .unserved(let id), .unknown(let id), .connect(let id, _):
            answer(.error(error), to: id)
        case .send, .pong: break
        }
    }

    /// Whether a message of so many bytes may wait as well. All messages that wait may be as long as one message may be.
    func mayHold(_ bytes: Int) -> Bool {
        let watching = watching ?? Watching()
        self.watching = watching
        watching.heldBytes += bytes
        return watching.heldBytes <= node.settings.calls.messageBytes
    }

    func takeHeld() -> [Command] {
        guard let watching else { return [] }
        defer { watching.held = [] }
        return watching.held
    }

    // MARK: Subscribing

    private func subscribe(_ id: UInt64, _ request: SubscribeRequest) {
        guard request.channel != "inbox" else { return refuse(id, .alreadySubscribed) }
        guard let channel = ChannelID(subscribed: request.channel) else { return refuse(id, .unknownChannel) }
        let watching = watching ?? Watching()
        guard watching.find(channel) == nil else { return refuse(id, .alreadySubscribed) }
        guard watching.subscriptions.count < node.settings.watching.maxSubscriptions else { return refuse(id, .overLimit) }
        guard node.lease.isReady, let identity else { return refuse(id, .unavailable) }
        self.watching = watching
        let isGranted = identity.grants?.channels.contains(channel) == true
        let subscription = Subscription(channel, of: self, listens: request.joinLeave, isGranted: isGranted)
        watching.add(subscription)
        watching.order.asks(id, channel)
        if isGranted { return join(id, request, subscription) }
        node.channels.streams.isMember(identity.person, of: channel) { [self] result in
            guard subscription.phase == .asking else { return }
            switch result {
            case .success(true): join(id, request, subscription)
            case .success(false): refuse(subscription, .permissionDenied)
            case .failure: refuse(subscription, .unavailable)
            }
        }
    }

    private func join(_ id: UInt64, _ request: SubscribeRequest, _ subscription: Subscription) {
        var start = InboxStart.present
        switch request.recovery {
        case .none: break
        case .from(let position): start = .after(position)
        case .unknown:
            if request.rejectsUnrecovered { return refuse(subscription, .unrecoverable) }
        }
        node.channels.join(subscription, from: start, rejectsUnrecovered: request.rejectsUnrecovered) { [self] result in
            switch result {
            case .success(let joined):
                let result = SubscribeResult(
                    position: joined.start, wasRecovering: request.recovery != .none, recovered: joined.recovered,
                    publications: joined.entries.map { StoredPublication($0) })
                answer(.subscribe(result), to: id)
            case .failure(let error): refuse(subscription, error)
            }
        }
    }

    /// Ends a subscription whose `subscribe` has no reply yet, and answers it with this reply.
    private func refuse(_ subscription: Subscription, _ error: ReplyError) {
        guard let id = watching?.order.unanswered(subscription.id) else { return }
        node.channels.unsubscribe(subscription)
        refuse(id, error)
        subscribeAnswered(subscription.id)
    }

    /// The reply to a `subscribe` was written. The commands that waited behind it are carried out.
    func subscribeAnswered(_ channel: ChannelID) {
        for waiting in watching?.order.answered(channel) ?? [] where !hasLeft { handle(waiting.id, waiting.command) }
    }

    /// The new token may allow less than the former one.
    func regrant() {
        for subscription in watching?.subscriptions ?? []
        where subscription.isGranted && identity?.grants?.channels.contains(subscription.id) != true {
            switch subscription.phase {
            case .joined: node.channels.unsubscribe(subscription, .expired)
            // The client asks for it again. That shows whether the person still may.
            case .asking, .joining: refuse(subscription, .unavailable)
            case .ended: break
            }
        }
    }

    private func refuse(_ id: UInt64, _ error: ReplyError) {
        node.metrics.channels.refusals[SubscriptionRefusalLabel(error)].increment()
        answer(.error(error), to: id)
    }

    private func subscription(_ name: String) -> Subscription? { ChannelID(subscribed: name).flatMap { watching?.find($0) } }

    /// Ends all subscriptions, because the connection has ended.
    func endSubscriptions() {
        for subscription in watching?.subscriptions ?? [] { node.channels.unsubscribe(subscription) }
        watching = nil
    }

    /// Subscriptions that fell behind go on.
    func resumeSubscriptions() {
        guard !isPaused else { return }
        for subscription in watching?.subscriptions ?? [] { subscription.drained() }
    }

    // MARK: Questions of watchers

    /// The channel, if this connection watches it. Otherwise it answers the command itself, and nil.
    private func watched(_ id: UInt64, _ name: String) -> ChannelID? {
        guard let subscription = subscription(name), subscription.phase == .joined else {
            refuse(id, ChannelID(subscribed: name) == nil ? .unknownChannel : .permissionDenied)
            return nil
        }
        return subscription.id
    }

    /// `limit`: nil asks for the numbers only.
    private func presence(_ id: UInt64, _ name: String, limit: Int?) {
        guard let channel = watched(id, name) else { return }
        node.channels.streams.presence(of: channel, limit: limit ?? 0) { [self] result in
            guard case .success(let presence) = result else { return refuse(id, .unavailable) }
            guard let limit else {
                return answer(.presenceStats(clients: presence.clients, people: presence.people), to: id)
            }
            guard presence.clients <= limit, presence.bytes <= node.settings.watching.presenceBytes else { return refuse(id, .overLimit) }
            let watching = presence.watchers.map {
                Reply.Watching(connection: String(decoding: $0.connection, as: UTF8.self), info: $0.info)
            }
            answer(.presence(watching), to: id)
        }
    }

    private func history(_ id: UInt64, _ request: HistoryRequest) {
        guard let channel = watched(id, request.channel) else { return }
        switch request.since {
        case .none: history(id, request, of: channel, from: .floor)
        case .from(let position): history(id, request, of: channel, from: .after(position))
        case .offset(let offset):
            node.channels.streams.page(of: channel, from: .present, limit: 0) { [self] result in
                guard case .success(let page) = result else { return refuse(id, .unavailable) }
                history(id, request, of: channel, from: .after(StreamPosition(epoch: page.state.epoch, offset: offset)))
            }
        case .unknown: refuse(id, .unrecoverable)
        }
    }

    private func history(_ id: UInt64, _ request: HistoryRequest, of channel: ChannelID, from start: InboxStart) {
        let most = node.settings.sending.pageEntries
        let limit = request.limit < 0 ? most : min(Int(clamping: request.limit), most)
        node.channels.streams.page(
            of: channel, from: start, limit: limit, bytes: node.settings.sending.bytes, isReversed: request.isReversed
        ) { [self] result in
            guard case .success(let page) = result else { return refuse(id, .unavailable) }
            guard page.recovered else { return refuse(id, .unrecoverable) }
            answer(.history(page.state.position, page.entries.map { StoredPublication($0) }), to: id)
        }
    }
}
