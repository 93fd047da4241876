import Models
import Store
import Tokens

/// What `/v1/inbox` and a poll answer. Pure.
struct InboxAnswer {
    /// One JSON array's members: notifications as they are stored, with commas between them.
    let notifications: [UInt8]
    /// Where the next request goes on, with a tag where there is one.
    let cursor: [UInt8]
    let unread: Int
    let recovered: Bool

    init(notifications: [UInt8], cursor: [UInt8], unread: Int, recovered: Bool) {
        self.notifications = notifications
        self.cursor = cursor
        self.unread = unread
        self.recovered = recovered
    }

    /// - Parameter after: the cursor that was shown. The next request goes on there if the page is empty.
    init(_ page: InboxPage, recovered: Bool, after: Cursor? = nil) {
        let last = page.entries.last.map { Cursor(StreamPosition(epoch: page.state.epoch, offset: $0.offset)) }
        self.init(
            notifications: page.joinedEntries, cursor: (last ?? after ?? Cursor(page.state.position)).bytes(nil),
            unread: page.state.unread, recovered: recovered)
    }

    var json: [UInt8] {
        var writer = JSONWriter(capacity: 160 + notifications.count)
        writer.raw(#"{"notifications":["#)
        writer.raw(notifications)
        writer.raw(#"],"cursor":"#)
        writer.string(String(decoding: cursor, as: UTF8.self))
        writer.raw(#","unread":"#)
        writer.integer(Int64(unread))
        writer.raw(#","recovered":"#)
        writer.bool(recovered)
        writer.raw("}")
        return writer.take()
    }
}

extension InboxPage {
    /// The page's notifications as the members of a JSON array.
    var joinedEntries: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.reduce(0) { $0 + $1.bytes.count + 1 })
        for (index, entry) in entries.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: entry.bytes)
        }
        return bytes
    }
}
