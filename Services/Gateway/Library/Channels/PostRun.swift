import Centrifuge
import EventLoop
import Models
import Network
import ServiceRuntime
import Store

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
            for index in posts.indices where subscription.isDue(posts[index].position, client, metrics) {
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
            metrics.channels.deliveries.increment(by: written)
            metrics.delivery.delays.observe(delay(since: post.accepted, now), post.priority, .websocket, times: written)
        }
    }

    /// The posts' frames, one behind the other.
    private static func joined(_ posts: inout [Post], _ codec: Codec) -> [UInt8] {
        guard posts.count > 1 else { return posts[0].push.frame(codec) }
        var frames: [UInt8] = []
        for index in posts.indices { frames += posts[index].push.frame(codec) }
        return frames
    }
}
