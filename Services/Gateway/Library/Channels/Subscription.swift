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

    let id: ChannelID
    /// It asked to be told who comes and goes.
    let listens: Bool
    /// Its token names the channel; otherwise she is a member.
    let isGranted: Bool
    /// Nil once it has ended.
    var client: WebSocketClient?
    var channel: Channel?
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
