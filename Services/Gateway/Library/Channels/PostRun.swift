import Centrifuge
import EventLoop
import Models
import Network
import ServiceRuntime
import Store

/// One post on its way to all watchers of a channel.
struct Post {
    var position: StreamPosition
    var push: SharedPush
    /// ms since 1970, as in `NotificationRecord`; 0: not known.
    var accepted: Int64 = 0
    var priority = Priority.normal
    /// How many watchers it was written to alone.
    var written = 0
}

/// Gathers the posts to one channel that a batch, or a page of its stream, brings one after another, and writes them together.
/// Loop thread only.
final class PostRun {
    /// How many watchers ahead the memory is prefetched.
    private static let fetchedAhead = 4

    private let metrics: GatewayMetrics
    private var channel: Channel?
    private var posts: [Post] = []

    init(metrics: GatewayMetrics) { self.metrics = metrics }

    /// Adds the next post of a channel. Posts that were gathered for another channel are written first.
    func add(_ post: Post, to channel: Channel) {
        if self.channel !== channel { deliver() }
        self.channel = channel
        posts.append(post)
    }

    /// Writes the posts that were gathered. A watcher that is abreast gets all of them in one write, and all such watchers
    /// share the bytes. To be called at the end of a batch or a page.
    func deliver() {
        guard let channel else { return }
        var posts = self.posts
        self.channel = nil
        self.posts = []
        guard let first = posts.first else { return }
        var shared = PerCodec<[UInt8]>()
        // The frames for watchers that take them compressed.
        var packed = PerCodec<[[UInt8]]>()
        // How many watchers took all posts at once.
        var abreast = 0
        for (place, subscription) in channel.subscriptions.enumerated() {
            // Thousands of watchers have slept since the last post. Without the prefetch, most of the time would be spent
            // waiting for memory.
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

    /// The frames of all posts, one behind the other.
    private static func joined(_ posts: inout [Post], _ codec: Codec) -> [UInt8] {
        guard posts.count > 1 else { return posts[0].push.frame(codec) }
        var frames: [UInt8] = []
        for index in posts.indices { frames += posts[index].push.frame(codec) }
        return frames
    }
}
