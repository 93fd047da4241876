import Lanes
import Models
import Store

/// What one gateway is to be told. Lines are gathered while a publish is under way, and then leave together.
struct GatewayOutbox {
    let instance: InstanceID
    /// A batch is closed when it has so many bytes of lines. One more recipient, notification or call for a channel may go
    /// beyond it.
    private let limit: Int
    private var batch = GatewayBatch()
    /// Whose lines the open batch holds.
    private var slots: [Lanes<PersonID>.Slot] = []
    private var channels: [ChannelPosts.Line] = []
    /// The notification whose recipients are still being added, and its record. The members of a channel come one after
    /// another, and the bytes of the post leave once for all of them.
    private var open: (record: Int, bytes: [UInt8], range: Range<Int>)?
    /// Deliveries in the open batch.
    private var count = 0
    private var closed: [Parcel] = []
    private(set) var underWay: Parcel?

    /// One publish.
    struct Parcel {
        var lines: [UInt8]
        /// Deliveries in this publish. A notification counts once for each person.
        var count: Int
        /// The calls that wait for its answer.
        var slots: [Lanes<PersonID>.Slot]
        /// The same for calls of channels.
        var channels: [ChannelPosts.Line]
    }

    init(instance: InstanceID, limit: Int) {
        self.instance = instance
        self.limit = limit
    }

    /// Adds the notifications of one call for one person's connections at this gateway. A person with very many connections may
    /// fill several batches: the call waits for the last of them. A gateway that missed one of the others sees the gap in their numbers.
    mutating func add(_ call: borrowing DeliveryCall, _ slot: Lanes<PersonID>.Slot, routes: [GatewayTable.Route]) {
        for (index, delivery) in call.deliveries.enumerated() {
            let position = StreamPosition(epoch: call.epoch, offset: call.entries[index].offset)
            if open?.record != call.records[index] { endNotification() }
            for route in routes {
                if isFull { close() }
                batch.recipient(
                    route.text, route.local..<route.text.count, position, accepted: delivery.accepted, priority: delivery.priority)
                open = (call.records[index], delivery.bytes, delivery.range)
            }
            count += 1
        }
        slots.append(slot)
        if isFull { close() }
    }

    private var isFull: Bool { batch.lines.count + (open?.range.count ?? 0) >= limit }

    /// Adds the posts of one call for a channel's watchers at this gateway. They stay together in one batch.
    mutating func add(_ call: ChannelPosts.Call, of channel: ChannelID, _ line: ChannelPosts.Line, epoch: UInt64, offsets: [UInt64]) {
        endNotification()
        count += call.posts.count
        for (post, offset) in zip(call.posts, offsets) {
            batch.post(
                channel, StreamPosition(epoch: epoch, offset: offset), accepted: post.accepted, priority: post.priority, post.bytes,
                post.range)
        }
        channels.append(line)
        if batch.lines.count >= limit { close() }
    }

    /// The next publish, if none is under way and there are lines to send.
    mutating func begin() -> Parcel? {
        guard underWay == nil else { return nil }
        if closed.isEmpty { close() }
        guard !closed.isEmpty else { return nil }
        underWay = closed.removeFirst()
        return underWay
    }

    /// The publish under way was answered. What waited for it goes on.
    mutating func answered() -> (slots: [Lanes<PersonID>.Slot], channels: [ChannelPosts.Line]) {
        defer { underWay = nil }
        return (underWay?.slots ?? [], underWay?.channels ?? [])
    }

    private mutating func endNotification() {
        guard let ending = open else { return }
        batch.end(ending.bytes, ending.range)
        open = nil
    }

    private mutating func close() {
        endNotification()
        guard !batch.isEmpty else { return }
        closed.append(Parcel(lines: batch.take(), count: count, slots: slots, channels: channels))
        count = 0
        slots = []
        channels = []
    }
}

/// The gateways of one batch, found by the instance that a connection's text begins with.
struct GatewayTable {
    /// One of a person's connections.
    struct Route {
        /// `<instance>.<index>.<generation>`.
        var text: [UInt8]
        /// Where the part behind the instance begins.
        var local: Int
    }

    private struct Entry {
        /// The last eight bytes of the instance, which are random digits of its epoch.
        var mark: UInt64
        var text: [UInt8]
    }

    private let limit: Int
    private var entries: [Entry] = []
    /// Those whose publish failed and is to be made again.
    private var unpublished: [Int] = []
    var outboxes: [GatewayOutbox] = []

    init(limit: Int) { self.limit = limit }

    /// The publish under way met an outage.
    mutating func failed(_ gateway: Int) { unpublished.append(gateway) }

    /// Gateways whose publish under way is to be made again now.
    mutating func takeFailed() -> [Int] {
        defer { unpublished = [] }
        return unpublished
    }

    /// Where an instance's outbox stands.
    mutating func find(_ instance: InstanceID) -> Int {
        let text = Array(instance.text.utf8)
        if let index = entries.firstIndex(where: { $0.text == text }) { return index }
        var mark: UInt64 = 0
        for byte in text.suffix(8) { mark = mark << 8 | UInt64(byte) }
        entries.append(Entry(mark: mark, text: text))
        outboxes.append(GatewayOutbox(instance: instance, limit: limit))
        return entries.count - 1
    }

    /// The place of the outbox of a connection's gateway, and the connection in the form that the outbox needs.
    /// Nil if the text is no connection.
    mutating func find(_ connection: [UInt8]) -> (gateway: Int, connection: Route)? {
        guard let dot = ConnectionID.split(connection.span), dot >= 8 else { return nil }
        var mark: UInt64 = 0
        for index in dot - 8..<dot { mark = mark << 8 | UInt64(connection[index]) }
        for index in entries.indices
        where entries[index].mark == mark && connection[..<dot].elementsEqual(entries[index].text) {
            return (index, Route(text: connection, local: dot + 1))
        }
        guard ConnectionID(String(decoding: connection, as: UTF8.self)) != nil,
            let instance = InstanceID(String(decoding: connection[..<dot], as: UTF8.self))
        else { return nil }
        entries.append(Entry(mark: mark, text: Array(connection[..<dot])))
        outboxes.append(GatewayOutbox(instance: instance, limit: limit))
        return (entries.count - 1, Route(text: connection, local: dot + 1))
    }
}
