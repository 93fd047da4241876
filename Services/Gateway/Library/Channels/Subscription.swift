import Centrifuge
import EventLoop
import Models
import Network
import Store

/// One connection's subscription to one channel, from the command that asks for it to its end. Loop thread only.
///
/// It holds no message. A watcher that is abreast of its channel needs one number, and a watcher that is behind reads the stream.
final class Subscription {
    enum Phase: UInt8 {
        /// Redis is asked whether the person may watch the channel.
        case asking
        /// The watch is under way. It reads the first page as well.
        case joining
        case joined
        case ended
    }

    let id: ChannelID
    /// It has asked to be told who comes and goes.
    let listens: Bool
    /// The token names the channel. Otherwise the person is a member of the channel.
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

/// The subscriptions of one connection. It is made with the first subscription, or with the first command that waits.
final class Watching {
    /// Commands that came before the connect was answered, in order.
    var held: [Command] = []
    /// Bytes of the messages that came before the connect was answered.
    var heldBytes = 0
    /// Commands that wait for the reply to a `subscribe`.
    var order = CommandOrder()
    private(set) var subscriptions: [Subscription] = []

    func find(_ channel: ChannelID) -> Subscription? { subscriptions.first { $0.id == channel } }

    func add(_ subscription: Subscription) { subscriptions.append(subscription) }

    func remove(_ subscription: Subscription) { subscriptions.removeAll { $0 === subscription } }
}

/// What a token allows beside the inbox.
final class Grants {
    let channels: [ChannelID]
    /// JSON that is shown to clients that ask who watches.
    let info: [UInt8]?

    /// Nil if the token has neither.
    init?(channels: [String], info: [UInt8]?) {
        guard !channels.isEmpty || info != nil else { return nil }
        self.channels = channels.compactMap { ChannelID($0) }
        self.info = info
    }
}
