internal import EventLoop
public import Models
public import Redis

/// A notification on its way into an inbox.
public struct Delivery: Sendable {
    public var id: NotificationID
    /// When its event was accepted, ms since 1970.
    public var accepted: Int64
    /// Nil where nobody has read it.
    public var priority: Priority?
    /// The notification's JSON stands at `range` of these bytes, which are shared and not copied.
    public var bytes: [UInt8]
    public var range: Range<Int>

    public init(
        id: NotificationID, accepted: Int64, priority: Priority? = nil, bytes: [UInt8], range: Range<Int>? = nil
    ) {
        self.id = id
        self.accepted = accepted
        self.priority = priority
        self.bytes = bytes
        self.range = range ?? bytes.indices
    }
}

/// What became of a delivery. The same for a repeated call as for the first, but for `isFresh` and what has changed since.
public struct Delivered: Equatable, Sendable {
    public struct Entry: Equatable, Sendable {
        /// False: it stood in the inbox already. All that follows a delivery is to be done in either case.
        public var isFresh: Bool
        public var offset: UInt64
        /// False: a device has acknowledged it, or the person has seen, read or archived it. Nothing more need be done to
        /// reach her.
        public var isOpen: Bool

        public init(isFresh: Bool, offset: UInt64, isOpen: Bool = true) {
            self.isFresh = isFresh
            self.offset = offset
            self.isOpen = isOpen
        }
    }

    public var epoch: UInt64
    public var unread: Int
    /// The person's connections at that moment, each `<instance>.<index>.<generation>` (`ConnectionID` reads it,
    /// `ConnectionID.split` finds where the instance ends).
    public var routes: [[UInt8]]
    /// One for each notification of the call, in its order.
    public var entries: [Entry]

    public init(epoch: UInt64, unread: Int, routes: [[UInt8]], entries: [Entry]) {
        self.epoch = epoch
        self.unread = unread
        self.routes = routes
        self.entries = entries
    }
}

/// Counters of an inbox. All zero, with floor 1, for a person that nothing has touched yet.
public struct InboxState: Equatable, Sendable {
    public var epoch: UInt64
    /// The last one that was handed out.
    public var offset: UInt64
    /// The lowest offset that trimming has left: a reader whose next offset lies below it has lost something.
    public var floor: UInt64
    public var unread: Int
    /// Rises with each change of `unread` that is no delivery (`InboxCounts`).
    public var revision: UInt64

    public init(epoch: UInt64, offset: UInt64, floor: UInt64, unread: Int, revision: UInt64 = 0) {
        self.epoch = epoch
        self.offset = offset
        self.floor = floor
        self.unread = unread
        self.revision = revision
    }

    public var position: StreamPosition { StreamPosition(epoch: epoch, offset: offset) }
}

/// One stored notification.
public struct InboxEntry: Equatable, Sendable {
    public var offset: UInt64
    public var id: [UInt8]
    /// The notification's JSON.
    public var bytes: [UInt8]
    /// When it was appended, by Redis's clock, ms since 1970.
    public var appended: Int64
    /// When its event was accepted, ms since 1970.
    public var accepted: Int64

    public init(offset: UInt64, id: [UInt8], bytes: [UInt8], appended: Int64, accepted: Int64) {
        self.offset = offset
        self.id = id
        self.bytes = bytes
        self.appended = appended
        self.accepted = accepted
    }
}

/// Where a reader begins.
public enum InboxStart: Equatable, Sendable {
    /// Nothing of what is stored.
    case present
    /// The oldest that is stored.
    case floor
    case after(StreamPosition)
}

/// A piece of an inbox.
public struct InboxPage: Equatable, Sendable {
    public var state: InboxState
    /// True if everything since the wanted position is still there (never for `present`). If false, there are no entries,
    /// and the reader stands at `state.position`.
    public var recovered: Bool
    /// True if nothing is stored behind the last entry of this page: the reader then stands at `state.position`.
    public var isComplete: Bool
    /// In order. Offsets may be missing between them: those entries were deleted or replaced.
    public var entries: [InboxEntry]

    public init(state: InboxState, recovered: Bool, isComplete: Bool, entries: [InboxEntry]) {
        self.state = state
        self.recovered = recovered
        self.isComplete = isComplete
        self.entries = entries
    }

    /// Where the reader stands after this page.
    public var end: StreamPosition {
        guard !isComplete, let last = entries.last else { return state.position }
        return StreamPosition(epoch: state.epoch, offset: last.offset)
    }
}

/// People's inboxes: streams whose offsets are handed out without a gap. Confined to its client's loop.
public struct Inbox {
    /// Notifications in one call of `deliver`, at most.
    public static let maximumDeliveries = 500

    let client: RedisClient
    let keys: Keyspace
    let limits: InboxLimits
    let witness: Witness

    public init(
        _ client: RedisClient, _ keys: Keyspace, limits: InboxLimits = InboxLimits(), witness: Witness = Witness()
    ) {
        self.client = client
        self.keys = keys
        self.limits = limits
        self.witness = witness
    }

    /// Appends notifications for one person, in order, those that the inbox has not seen within the dedup window.
    ///
    /// Whole or not at all; may be repeated after any error. At most one call a person may be under way.
    /// - Parameter deliveries: 1 to `maximumDeliveries`.
    public func deliver(
        _ deliveries: [Delivery], to person: PersonID, reply: @escaping (Result<Delivered, StoreError>) -> Void
    ) {
        precondition((1...Self.maximumDeliveries).contains(deliveries.count), "deliveries out of bounds")
        let tag = keys.tag(person)
        client.eval(
            Self.deliverScript, arguments: 10 + 3 * deliveries.count,
            { writer in
                keys.write("inbox:", tag, to: &writer)
                keys.write("inbox:", tag, ":state", to: &writer)
                keys.write("routes:", tag, to: &writer)
                keys.write("seen:", tag, ":", to: &writer)
                keys.write("inbox:", tag, ":marks", to: &writer)
                writer.argument(Int64(limits.maxEntries))
                writer.argument(limits.maxAge)
                limits.writeSeen(atLeast: limits.maxEntries, to: &writer)
                writer.argument(witness.time(at: client.loop.now))
                for delivery in deliveries {
                    writer.argument(delivery.id.bytes)
                    writer.argument(delivery.accepted)
                    writer.argument(delivery.bytes, delivery.range)
                }
            },
            { result in
                witness.heard(result, count: 3 + 2 * deliveries.count, at: client.loop.now)
                let delivered = result.decoded("deliver") { Delivered($0, count: deliveries.count) }
                if case .success(let delivered) = delivered, let last = delivered.entries.last {
                    witness.acknowledged(Witness.Write(person: person, epoch: delivered.epoch, offset: last.offset))
                }
                reply(delivered)
            })
    }

    /// Reads a person's inbox from a position. Changes nothing, but for the epoch of an inbox of an earlier generation.
    /// - Parameters:
    ///   - limit: entries at most.
    ///   - bytes: where a page ends early, with the entry that passes it.
    public func page(
        of person: PersonID, from start: InboxStart, limit: Int, bytes: Int = 1 << 20,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        let tag = keys.tag(person)
        client.eval(
            Self.pageScript, arguments: 7,
            { writer in
                keys.write("inbox:", tag, to: &writer)
                keys.write("inbox:", tag, ":state", to: &writer)
                start.write(limit: limit, bytes: bytes, witness, to: &writer)
            },
            { reply($0.decoded("page", InboxPage.init)) })
    }
}

extension InboxStart {
    /// Five arguments, the generation the last.
    func write(limit: Int, bytes: Int, _ witness: Witness, to writer: inout RESPWriter) {
        switch self {
        case .present:
            writer.argument("present" as StaticString)
            writer.argument(0)
        case .floor:
            writer.argument("floor" as StaticString)
            writer.argument(0)
        case .after(let position):
            writer.argument(String(position.epoch))
            writer.argument(Int64(clamping: position.offset))
        }
        writer.argument(Int64(limit))
        writer.argument(Int64(bytes))
        writer.argument(Int64(clamping: witness.generation))
    }
}

extension Delivered {
    init?(_ value: RedisValue, count: Int) {
        guard let parts = value.array, parts.count >= 3 + 2 * count, let epoch = parts[0].unsigned,
            let unread = parts[1].integer, let routes = parts[2].array
        else { return nil }
        self.epoch = epoch
        self.unread = Int(clamping: unread)
        self.routes = routes.compactMap(\.bytes)
        entries = []
        entries.reserveCapacity(count)
        for index in 0..<count {
            guard let fresh = parts[3 + 2 * index].integer, let offset = parts[4 + 2 * index].unsigned else { return nil }
            entries.append(Entry(isFresh: fresh == 1, offset: offset, isOpen: fresh != 2))
        }
    }
}

extension InboxPage {
    init?(_ value: RedisValue) {
        guard let parts = value.array, parts.count >= 7, let epoch = parts[0].unsigned, let offset = parts[1].unsigned,
            let floor = parts[2].unsigned, let unread = parts[3].integer, let entries = parts[6].array
        else { return nil }
        // A stream without read marks answers no revision.
        let revision = parts.count > 7 ? parts[7].unsigned ?? 0 : 0
        state = InboxState(epoch: epoch, offset: offset, floor: floor, unread: Int(clamping: unread), revision: revision)
        recovered = parts[4].integer == 1
        isComplete = parts[5].integer == 1
        self.entries = entries.compactMap(InboxEntry.init)
    }
}

extension InboxEntry {
    /// Nil for an entry that holds no notification: it is stepped over like a missing one.
    init?(_ value: RedisValue) {
        guard let parts = value.array, parts.count == 2, let position = parts[0].bytes.flatMap({ StreamPosition($0.span) }),
            let fields = parts[1].array
        else { return nil }
        self.init(offset: position.offset, id: [], bytes: [], appended: 0, accepted: 0)
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            guard let name = fields[index].bytes, let value = fields[index + 1].bytes else { continue }
            if name.elementsEqual("n".utf8) {
                bytes = value
            } else if name.elementsEqual("id".utf8) {
                id = value
            } else if name.elementsEqual("t".utf8) {
                appended = fields[index + 1].integer ?? 0
            } else if name.elementsEqual("a".utf8) {
                accepted = fields[index + 1].integer ?? 0
            }
        }
        if bytes.isEmpty { return nil }
    }
}
