// What the decoder's file names of Store, whose own sources would bring Redis and the loop with them.
public import Models

public enum InboxSelection: Equatable, Sendable {
    case upTo(StreamPosition)
    case ids([NotificationID])
}

public enum Inbox {
    public static let maximumIDs = 1_000
}
