import Centrifuge
import EventLoop
import Models
import Network
import Store

/// One connection's subscription to one channel, from the command that asks for it to its end. Loop thread only.
///
/// It holds no message: a watcher that is abreast of its channel needs one number, and one that is behind reads the stream.
final class Subscription {
    enum Phase: UInt8 {
        /// Whether she may is being asked.
        case asking
        /// The watch, which reads the first page too, is under way.
        case joining
        case joined
        case ended
    }

    /// A watcher that is behind its channel, and reads the stream by itself until it is abreast.
    final class Lag {
        var session: Session
        /// Its read failed, and is tried again.
        var isStalled = false
        init(_ session: Session) { self.session = session }
    }

    let id: ChannelID
    /// It asked to be told who comes and goes.
    let listens: Bool
    /// Its token names the channel; otherwise she is a member.
    let isGranted: Bool
    /// Nil once it has ended.
    var client: WebSocketClient?
    var channel: WatchedChannel?
    var phase = Phase.asking
    /// The number of the instance's epoch under which its watch was sent.
    var epochNumber: UInt16 = 0
    /// Its place among the channel's subscriptions, while it is joined.
    var place = 0
    /// Posts up to this offset were sent to it when it joined.
    var from: UInt64 = 0
    var lag: Lag?

    init(_ id: ChannelID, of client: WebSocketClient, listens: Bool, isGranted: Bool) {
        self.id = id
        self.client = client
        self.listens = listens
        self.isGranted = isGranted
    }
}

/// The subscriptions of one connection; made with the first of them, or of the commands for them.
final class Watching {
    /// Commands that came before the connect was answered, in order.
    var held: [Command] = []
    /// Of the messages that came meanwhile.
    var heldBytes = 0
    /// Commands behind a `subscribe` that has no reply yet.
    var order = CommandOrder()
    private(set) var subscriptions: [Subscription] = []

    func find(_ channel: ChannelID) -> Subscription? { subscriptions.first { $0.id == channel } }

    func add(_ subscription: Subscription) { subscriptions.append(subscription) }

    func remove(_ subscription: Subscription) { subscriptions.removeAll { $0 === subscription } }
}

/// What a token allows beside the inbox.
final class Grants {
    let channels: [ChannelID]
    /// JSON, shown to those who ask who watches.
    let info: [UInt8]?

    /// Nil where there is neither.
    init?(channels: [String], info: [UInt8]?) {
        guard !channels.isEmpty || info != nil else { return nil }
        self.channels = channels.compactMap { ChannelID($0) }
        self.info = info
    }
}

extension Session {
    /// Of a reader that has everything up to a position.
    init(at position: StreamPosition) {
        self.init()
        begin(at: position)
        _ = pageBegins(epoch: position.epoch, recovered: true)
        _ = pageEnds(top: position.offset, isComplete: true, isFull: true)
    }
}

/// A channel that somebody here watches. All who are abreast share its position: what comes is compared with it once.
final class WatchedChannel {
    let id: ChannelID
    /// Where all stand in the stream who do not lag behind.
    var session = Session()
    private(set) var subscriptions: [Subscription] = []
    /// Whose they are, at the same places.
    private(set) var readers: [Reader] = []
    /// How many connections here are noted in Redis, or on the way there: those that are joining as well.
    var count = WatcherCount(watchers: 0, listeners: 0)
    /// The number of the instance's epoch under which all of them are noted.
    var epochNumber: UInt16

    struct Reader {
        let client: WebSocketClient
        let stream: ByteStream
    }

    init(_ id: ChannelID, epochNumber: UInt16) {
        self.id = id
        self.epochNumber = epochNumber
    }

    func add(_ subscription: Subscription, of client: WebSocketClient) {
        subscription.place = subscriptions.count
        subscriptions.append(subscription)
        readers.append(Reader(client: client, stream: client.stream))
    }

    /// The last one takes the place that becomes free.
    func remove(_ subscription: Subscription) {
        let last = subscriptions.removeLast()
        let reader = readers.removeLast()
        guard last !== subscription else { return }
        subscriptions[subscription.place] = last
        readers[subscription.place] = reader
        last.place = subscription.place
    }

    /// Fetches what a delivery to the watcher at this place will read; beyond the last it does nothing.
    func fetch(_ place: Int) {
        subscriptions.fetchAhead(place)
        readers.fetchAhead(place)
    }
}
