import Models
import Store
import Tokens

/// The content of a poll's answer. Pure.
struct PollBatch {
    private var position = StreamPosition(epoch: 0, offset: 0)
    private var recovered = false
    private var unread = 0
    private var notifications: [UInt8] = []
    private(set) var count = 0

    /// Bytes of the notifications.
    var bytes: Int { notifications.count }
    var isEmpty: Bool { count == 0 }
    private var isCounted = false
    /// Whether anything has come, or the cursor or the count has changed. Otherwise the poll has timed out.
    var isWorthAnAnswer: Bool { count > 0 || !recovered || isCounted }

    mutating func begin(at position: StreamPosition, recovered: Bool, unread: Int) {
        self.position = position
        self.recovered = recovered
        self.unread = unread
    }

    /// The unread count has changed.
    mutating func count(_ unread: Int) {
        self.unread = unread
        isCounted = true
    }

    /// - Parameter isStored: the notification was in the inbox when `unread` was counted.
    mutating func append(_ notification: ArraySlice<UInt8>, at position: StreamPosition, isStored: Bool) {
        if count > 0 { notifications.append(UInt8(ascii: ",")) }
        notifications.append(contentsOf: notification)
        self.position = position
        count += 1
        if !isStored { unread += 1 }
    }

    /// As `/v1/inbox` answers. The cursor has a tag if there is a key.
    func json(_ key: TagKey?) -> [UInt8] {
        InboxAnswer(notifications: notifications, cursor: Cursor(position).bytes(key), unread: unread, recovered: recovered).json
    }
}
