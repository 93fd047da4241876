import Centrifuge
import EventLoop
import Models
import Network
import Store

/// A channel that somebody here watches. All watchers that are abreast share its position, and a post is compared with it once.
final class Channel {
    let id: ChannelID
    private unowned let channels: Channels
    /// The position of all watchers that do not lag behind.
    var session = Session()
    private(set) var subscriptions: [Subscription] = []
    /// The clients of the subscriptions, at the same places.
    private(set) var readers: [Reader] = []
    /// How many connections here are noted in Redis, or are being noted.
    var count = WatcherCount(watchers: 0, listeners: 0)
    /// The number of the instance's epoch under which all connections are noted.
    var epochNumber: UInt16

    struct Reader {
        let client: WebSocketClient
        let stream: ByteStream
    }

    init(_ id: ChannelID, of channels: Channels, epochNumber: UInt16) {
        self.id = id
        self.channels = channels
        self.epochNumber = epochNumber
    }

    func add(_ subscription: Subscription, of client: WebSocketClient) {
        subscription.place = subscriptions.count
        subscriptions.append(subscription)
        readers.append(Reader(client: client, stream: client.stream))
    }

    /// Removes a subscription. The last one takes its place.
    func remove(_ subscription: Subscription) {
        let last = subscriptions.removeLast()
        let reader = readers.removeLast()
        guard last !== subscription else { return }
        subscriptions[subscription.place] = last
        readers[subscription.place] = reader
        last.place = subscription.place
    }

    /// Prefetches the memory that a delivery to the watcher at this place will read. Behind the last watcher it does nothing.
    func fetch(_ place: Int) {
        subscriptions.fetchAhead(place)
        readers.fetchAhead(place)
    }
}

// A channel reads its stream, for all watchers that are abreast of it.
extension Channel: StreamReader {
    var hasEnded: Bool { channels[id] !== self }
    /// Each watcher has its own socket. A watcher that cannot take a post lags behind.
    var isHeld: Bool { false }

    func requestPage(_ reply: @escaping (InboxPage?) -> Void) { channels.page(of: id, after: session.position, reply) }

    func hasRoom(for bytes: Int) -> Bool { true }

    func write(_ entry: InboxEntry, at position: StreamPosition, now: Int64) {
        var post = Post(position: position, push: SharedPush(.post(id, position.offset, entry.bytes[...])))
        post.accepted = entry.accepted
        post.priority = Publication(entry.bytes).statedPriority() ?? .normal
        channels.posts.add(post, to: self)
    }

    func pageIsWritten() { channels.posts.deliver() }

    /// The stream is another one, or has lost posts that were not sent. Each watcher subscribes again, and is then told that.
    func lose() {
        session = Session()
        for subscription in subscriptions { channels.unsubscribe(subscription, .insufficientState) }
    }

    func readFailed() { channels.comparison.failed(id) }
}
