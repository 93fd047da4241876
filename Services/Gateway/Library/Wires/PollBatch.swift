import Models
import Store
import Tokens

/// What a poll's answer holds. Pure.
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
    /// Otherwise nothing has come, and neither the cursor nor the count has moved: a time-out.
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

    /// - Parameter isStored: it was there when `unread` was counted.
    mutating func append(_ notification: ArraySlice<UInt8>, at position: StreamPosition, isStored: Bool) {
        if count > 0 { notifications.append(UInt8(ascii: ",")) }
        notifications.append(contentsOf: notification)
        self.position = position
        count += 1
        if !isStored { unread += 1 }
    }

    /// As `/v1/inbox` answers; the cursor with a tag, where there is a key.
    func json(_ key: TagKey?) -> [UInt8] {
        var writer = JSONWriter(capacity: 160 + notifications.count)
        writer.raw(#"{"notifications":["#)
        writer.raw(notifications)
        writer.raw(#"],"cursor":"#)
        writer.string(String(decoding: Cursor(position).bytes(key), as: UTF8.self))
        writer.raw(#","unread":"#)
        writer.integer(Int64(unread))
        writer.raw(#","recovered":"#)
        writer.bool(recovered)
        writer.raw("}")
        return writer.take()
    }
}
