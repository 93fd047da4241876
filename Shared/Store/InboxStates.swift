public import Models
internal import Redis

/// What is counted of an inbox when a call has been made.
public struct InboxCounts: Equatable, Sendable {
    /// Entries that are there, behind `read`, and not marked as read alone.
    public var unread: Int
    /// Rises with each change of `unread` that is no delivery.
    public var revision: UInt64

    public init(unread: Int, revision: UInt64) {
        self.unread = unread
        self.revision = revision
    }
}

/// What became of an acknowledgement.
public struct Acknowledged: Equatable, Sendable {
    public var counts: InboxCounts
    /// The offset that was acknowledged by this call; 0 if it was about nothing that is or was there.
    public var offset: UInt64
    /// When the event of the entry at that offset was accepted, ms since 1970; 0 if the entry is not there.
    public var accepted: Int64
    /// No device had acknowledged it before.
    public var isFirst: Bool

    public init(counts: InboxCounts, offset: UInt64, accepted: Int64, isFirst: Bool) {
        self.counts = counts
        self.offset = offset
        self.accepted = accepted
        self.isFirst = isFirst
    }
}

/// What became of a change of marks. A repeated call answers the same: the devices are to be told in either case.
public struct Marked: Equatable, Sendable {
    public var counts: InboxCounts
    /// The person's connections at that moment, as in `Delivered`.
    public var routes: [[UInt8]]

    public init(counts: InboxCounts, routes: [[UInt8]]) {
        self.counts = counts
        self.routes = routes
    }
}

/// What a person and her devices have done with an inbox: acknowledged, seen, read, archived. All idempotent, each whole or
/// not at all; may be repeated after any error.
extension Inbox {
    /// A device has received everything up to there; by ids, up to the newest of them, for what is received is received in
    /// order. Moves `acked`, never back.
    public func acknowledge(
        _ selection: InboxSelection, of person: PersonID, reply: @escaping (Result<Acknowledged, StoreError>) -> Void
    ) {
        acknowledge("acked", selection, of: person, reply)
    }

    /// The person has looked at the list up to there, whatever she has read of it. Moves `taken` (and `acked`), never back.
    public func see(
        _ selection: InboxSelection, of person: PersonID, reply: @escaping (Result<Acknowledged, StoreError>) -> Void
    ) {
        acknowledge("taken", selection, of: person, reply)
    }

    /// Read: all up to a position (which is seen and acknowledged thereby), or single ones.
    public func markRead(
        _ selection: InboxSelection, of person: PersonID, reply: @escaping (Result<Marked, StoreError>) -> Void
    ) {
        mark("read", selection, of: person, reply)
    }

    /// Unread again.
    public func markUnread(
        _ ids: [NotificationID], of person: PersonID, reply: @escaping (Result<Marked, StoreError>) -> Void
    ) {
        mark("unread", .ids(ids), of: person, reply)
    }

    /// The entries leave the inbox, and count as read. Readers step over them.
    public func archive(
        _ ids: [NotificationID], of person: PersonID, reply: @escaping (Result<Marked, StoreError>) -> Void
    ) {
        mark("archive", .ids(ids), of: person, reply)
    }

    private func acknowledge(
        _ field: StaticString, _ selection: InboxSelection, of person: PersonID,
        _ reply: @escaping (Result<Acknowledged, StoreError>) -> Void
    ) {
        let tag = keys.tag(person)
        client.eval(
            Self.acknowledgeScript, arguments: 6 + selection.arguments,
            { writer in
                keys.write("inbox:", tag, to: &writer)
                keys.write("inbox:", tag, ":state", to: &writer)
                keys.write("seen:", tag, ":", to: &writer)
                writer.argument(field)
                writer.argument(limits.dedupWindow)
                writer.argument(Int64(clamping: witness.generation))
                selection.write(to: &writer)
            },
            { reply($0.decoded("acknowledge", Acknowledged.init)) })
    }

    private func mark(
        _ change: StaticString, _ selection: InboxSelection, of person: PersonID,
        _ reply: @escaping (Result<Marked, StoreError>) -> Void
    ) {
        let tag = keys.tag(person)
        client.eval(
            Self.markScript, arguments: 8 + selection.arguments,
            { writer in
                keys.write("inbox:", tag, to: &writer)
                keys.write("inbox:", tag, ":state", to: &writer)
                keys.write("inbox:", tag, ":marks", to: &writer)
                keys.write("routes:", tag, to: &writer)
                keys.write("seen:", tag, ":", to: &writer)
                writer.argument(change)
                writer.argument(limits.dedupWindow)
                writer.argument(Int64(clamping: witness.generation))
                selection.write(to: &writer)
            },
            { reply($0.decoded("mark", Marked.init)) })
    }

    /// Reads the newest entries behind a position, in order, and answers as `page` does; `isComplete` says whether there is
    /// none between the position and the first of them. Changes nothing.
    public func newest(
        of person: PersonID, after position: StreamPosition, limit: Int, bytes: Int = 1 << 20,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        let tag = keys.tag(person)
        client.eval(
            Self.newestScript, arguments: 7,
            { writer in
                keys.write("inbox:", tag, to: &writer)
                keys.write("inbox:", tag, ":state", to: &writer)
                InboxStart.after(position).write(limit: limit, bytes: bytes, witness, to: &writer)
            },
            { reply($0.decoded("newest", InboxPage.init)) })
    }
}

extension InboxSelection {
    /// How many arguments `write` writes.
    var arguments: Int {
        switch self {
        case .upTo: 3
        case .ids(let ids): 1 + ids.count
        }
    }

    func write(to writer: inout RESPWriter) {
        switch self {
        case .upTo(let position):
            writer.argument("position" as StaticString)
            writer.argument(String(position.epoch))
            writer.argument(Int64(clamping: position.offset))
        case .ids(let ids):
            precondition((1...InboxSelection.maximumIDs).contains(ids.count), "ids out of bounds")
            writer.argument("ids" as StaticString)
            for id in ids { writer.argument(id.bytes) }
        }
    }
}

extension Acknowledged {
    init?(_ value: RedisValue) {
        guard let parts = value.array, parts.count == 5, let unread = parts[0].integer, let revision = parts[1].unsigned,
            let offset = parts[2].unsigned, let accepted = parts[3].integer, let isFirst = parts[4].integer
        else { return nil }
        self.init(
            counts: InboxCounts(unread: Int(clamping: unread), revision: revision), offset: offset, accepted: accepted,
            isFirst: isFirst == 1)
    }
}

extension Marked {
    init?(_ value: RedisValue) {
        guard let parts = value.array, parts.count == 3, let unread = parts[0].integer, let revision = parts[1].unsigned,
            let routes = parts[2].array
        else { return nil }
        self.init(
            counts: InboxCounts(unread: Int(clamping: unread), revision: revision), routes: routes.compactMap(\.bytes))
    }
}
