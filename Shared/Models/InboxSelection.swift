/// Entries of an inbox that a call is about.
public enum InboxSelection: Equatable, Sendable {
    /// Most ids that one selection holds.
    public static let maximumIDs = 1_000

    /// All up to a position and with it. A position of another epoch, or behind the last offset, is nothing.
    case upTo(StreamPosition)
    /// Those of these notifications that are there; 1 to `maximumIDs`.
    case ids([NotificationID])
}
