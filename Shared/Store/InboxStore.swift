public import Models

/// People's inboxes: streams that are appended to with a guard, read in pages, marked, and trimmed by themselves.
///
/// Whoever implements it promises what stands below to all services; `InboxStoreContract` in the tests holds an
/// implementation to it. One value serves one loop: it is called there, and calls back there, never within the call.
///
/// - Each person's inbox is by itself. Calls for one person take effect in the order in which one process sends them.
///   Between people there is no order, neither of effects nor of replies.
/// - A call is whole or not at all, also where the process or the store dies in its middle, and may be repeated after any
///   error. An error says `StoreError.outage` or `.refusal` unless the call itself is at fault.
/// - Within one epoch offsets rise by 1 from 1. Where a store has lost entries that it had acknowledged, the inbox goes on
///   under a later epoch: an offset never names two entries of one epoch.
/// - What was appended and acknowledged is in every page that is asked for afterwards, by whatever process. A store that
///   reads from copies which may lag must read where it appends. The apart form of `CombinedStore` rests on this.
/// - It trims by itself: the oldest entries go where there are too many or where they are too old, and the floor rises over
///   them. Marks of what is gone go with it.
public protocol InboxStore {
    /// Appends notifications for one person, in order, those that the inbox has not seen. The guard is the notification's id:
    /// a repeated one is answered with its first offset, and whether it is still open. Ids are known for `DEDUP_WINDOW`, and of
    /// the newest `DEDUP_MAX_NOTIFICATIONS`.
    ///
    /// At most one call a person may be under way.
    /// - Parameter deliveries: 1 to `Inbox.maximumDeliveries`.
    func append(
        _ deliveries: [Delivery], to person: PersonID, reply: @escaping (Result<Appended, StoreError>) -> Void)

    /// Reads on from a position. Changes nothing but the epoch, where acknowledged entries were lost.
    /// - Parameters:
    ///   - limit: entries at most.
    ///   - bytes: where a page ends early, with the entry that passes it: a page is never empty for an entry's size.
    func page(
        of person: PersonID, from start: InboxStart, limit: Int, bytes: Int,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void)

    /// As `page`, and begins the inbox's first epoch where nothing has touched the person yet, so that whoever reads on from
    /// there loses nothing.
    func open(
        _ person: PersonID, from start: InboxStart, limit: Int, bytes: Int,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void)

    /// Reads the newest entries behind a position, in order, and answers as `page` does; `isComplete` says whether there is
    /// none between the position and the first of them.
    func newest(
        of person: PersonID, after position: StreamPosition, limit: Int, bytes: Int,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void)

    /// A device has received everything up to there. Moves `acked`, never back.
    func acknowledge(
        _ selection: InboxSelection, of person: PersonID, reply: @escaping (Result<Acknowledged, StoreError>) -> Void)

    /// The person has looked at the list up to there. Moves `taken` and `acked`, never back.
    func see(_ selection: InboxSelection, of person: PersonID, reply: @escaping (Result<Acknowledged, StoreError>) -> Void)

    /// Changes what counts as read. The revision rises if, and only if, the number of unread entries changes.
    func mark(_ change: InboxChange, of person: PersonID, reply: @escaping (Result<InboxCounts, StoreError>) -> Void)
}

/// A change of what counts as read.
public enum InboxChange: Equatable, Sendable {
    /// Read: all up to a position (which is seen and acknowledged thereby), or single ones.
    case read(InboxSelection)
    /// Unread again.
    case unread([NotificationID])
    /// The entries leave the inbox, and count as read. Readers step over them.
    case archive([NotificationID])
}

/// What became of an append. The same for a repeated call as for the first, but for `isFresh` and what has changed since.
public struct Appended: Equatable, Sendable {
    public var epoch: UInt64
    public var unread: Int
    /// One for each notification of the call, in its order.
    public var entries: [Delivered.Entry]

    public init(epoch: UInt64, unread: Int, entries: [Delivered.Entry]) {
        self.epoch = epoch
        self.unread = unread
        self.entries = entries
    }
}
