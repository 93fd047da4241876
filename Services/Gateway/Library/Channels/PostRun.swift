import EventLoop
import Models
import Network
import ServiceRuntime
import Store

/// One post on its way to all who watch.
struct Post {
    var position: StreamPosition
    var frame: [UInt8]
    /// ms since 1970, as in `NotificationRecord`; 0: not known.
    var accepted: Int64 = 0
    var priority = Priority.normal
    /// Watchers whom it was written to by itself.
    var written = 0
}

/// Posts to one channel that a batch, or a page of its stream, brings one after another: they gather here, and are written
/// together. Loop thread only.
final class PostRun {
    /// Watchers whose turn comes while the kernel writes to those before them.
    private static let fetchedAhead = 4

    private let metrics: GatewayMetrics
    private var channel: Channel?
    private var posts: [Post] = []

    init(metrics: GatewayMetrics) { self.metrics = metrics }

    /// Adds a post that the channel's watchers are due next. What was gathered for another channel is written first.
    func add(_ post: Post, to channel: Channel) {
        if self.channel !== channel { deliver() }
        self.channel = channel
        posts.append(post)
    }

    /// Writes the posts that have gathered: to a watcher that is abreast all in one write, of bytes that all of them share. To be
    /// called when a batch or a page ends.
    func deliver() {
        guard let channel else { return }
        var posts = self.posts
        self.channel = nil
        self.posts = []
        guard let first = posts.first else { return }
        let shared = posts.count == 1 ? first.frame : posts.flatMap(\.frame)
        // Of those who take them compressed, made when the first of them is due.
        var packed: [[UInt8]] = []
        // Watchers who took all of them at once.
        var abreast = 0
        for (place, subscription) in channel.subscriptions.enumerated() {
            // Thousands who have slept since the last post: what the processor must fetch for them would be most of our share.
            channel.fetch(place + Self.fetchedAhead)
            guard let client = subscription.client else { continue }
            if subscription.lag == nil, first.position.offset > subscription.from, !client.isDeflating, !client.takesNothing() {
                client.stream.writeThrough(shared)
                abreast += 1
                continue
            }
            if client.isDeflating, packed.isEmpty { packed = posts.map { client.deflated($0.frame) } }
            for index in posts.indices where subscription.isDue(posts[index].position, client, metrics) {
                client.stream.write(client.isDeflating ? packed[index] : posts[index].frame)
                posts[index].written += 1
            }
        }
        let now = EventLoop.wallClock()
        for post in posts {
            let written = abreast + post.written
            metrics.channels.deliveries.increment(by: written)
            metrics.delivery.delays.observe(delay(since: post.accepted, now), post.priority, .websocket, times: written)
        }
    }
}
