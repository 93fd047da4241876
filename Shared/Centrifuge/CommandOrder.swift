public import Models

/// Which commands of one connection wait for the answer to a `subscribe` before them. Pure: commands in, commands out.
///
/// What a client asks of one channel is obeyed in the order in which it asks: a `presence` right behind a `subscribe` finds
/// the subscription there, and an `unsubscribe` ends it only after the `subscribe` has had its reply.
public struct CommandOrder: Equatable, Sendable {
    /// A command that waits, with its id.
    public struct Waiting: Equatable, Sendable {
        public var id: UInt64
        public var command: ChannelCommand

        public init(id: UInt64, command: ChannelCommand) {
            self.id = id
            self.command = command
        }
    }

    /// A `subscribe` without its reply, and what came behind it.
    private struct Open: Equatable, Sendable {
        var channel: ChannelID
        var id: UInt64
        var behind: [Waiting] = []
    }

    /// At most one for each channel, and so no more than MAX_SUBSCRIPTIONS.
    private var open: [Open] = []

    public init() {}

    /// Commands that wait.
    public var waiting: Int { open.reduce(0) { $0 + $1.behind.count } }

    /// The id of the channel's `subscribe` that has no reply yet.
    public func unanswered(_ channel: ChannelID) -> UInt64? { open.first { $0.channel == channel }?.id }

    /// A `subscribe` is being looked at. The channel must have none that has no reply.
    public mutating func asks(_ id: UInt64, _ channel: ChannelID) { open.append(Open(channel: channel, id: id)) }

    /// Keeps a command behind the channel's `subscribe`; false, and it is not kept, if there is none.
    public mutating func wait(_ waiting: Waiting, _ channel: ChannelID) -> Bool {
        guard let index = open.firstIndex(where: { $0.channel == channel }) else { return false }
        open[index].behind.append(waiting)
        return true
    }

    /// The channel's `subscribe` has its reply: what waited for it, in order.
    public mutating func answered(_ channel: ChannelID) -> [Waiting] {
        guard let index = open.firstIndex(where: { $0.channel == channel }) else { return [] }
        let behind = open.remove(at: index).behind
        // An empty array keeps its place in memory, and most connections ask once.
        if open.isEmpty { open = [] }
        return behind
    }
}
