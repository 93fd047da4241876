import Models
import Store
import WebSocket

/// Why a subscription is ended by the gateway: the Centrifuge protocol's codes. From 2500 on SDKs subscribe again.
struct Unsubscribe: Hashable {
    let code: Int
    let reason: String

    /// Its place in the stream is lost; the next subscribe says `recovered: false`.
    static let insufficientState = Unsubscribe(code: 2500, reason: "insufficient state")
    /// The token that allowed it was replaced by one that does not; the next subscribe tells whether she still may.
    static let expired = Unsubscribe(code: 2501, reason: "expired")
}

extension ReplyError {
    static let unknownChannel = ReplyError(code: 102, message: "unknown channel")
    static let permissionDenied = ReplyError(code: 103, message: "permission denied")
    static let alreadySubscribed = ReplyError(code: 105, message: "already subscribed")
    static let unrecoverable = ReplyError(code: 112, message: "unrecoverable position")
}

// What is said about channels.
extension Replies {
    static func subscribed(_ id: UInt64, _ joined: Channels.Joined, wasRecovering: Bool) -> [UInt8] {
        var writer = JSONWriter(capacity: 192 + joined.entries.reduce(0) { $0 + $1.bytes.count + 32 })
        begin(id, #","subscribe":{"recoverable":true,"positioned":true,"epoch":""#, &writer)
        writer.digits(joined.start.epoch)
        writer.raw(#"","offset":"#)
        writer.digits(joined.start.offset)
        if wasRecovering { writer.raw(#","was_recovering":true"#) }
        writer.raw(#","recovered":"#)
        writer.bool(joined.recovered)
        if !joined.entries.isEmpty { publications(joined.entries, &writer) }
        writer.raw("}}")
        return WebSocketFrame.text(writer.take())
    }

    static func unsubscribed(_ id: UInt64) -> [UInt8] {
        var writer = JSONWriter(capacity: 48)
        begin(id, #","unsubscribe":{}}"#, &writer)
        return WebSocketFrame.text(writer.take())
    }

    static func history(_ id: UInt64, _ page: InboxPage) -> [UInt8] {
        var writer = JSONWriter(capacity: 128 + page.entries.reduce(0) { $0 + $1.bytes.count + 32 })
        begin(id, #","history":{"epoch":""#, &writer)
        writer.digits(page.state.epoch)
        writer.raw(#"","offset":"#)
        writer.digits(page.state.offset)
        publications(page.entries, &writer)
        writer.raw("}}")
        return WebSocketFrame.text(writer.take())
    }

    private static func publications(_ entries: [InboxEntry], _ writer: inout JSONWriter) {
        writer.raw(#","publications":["#)
        for (index, entry) in entries.enumerated() {
            if index > 0 { writer.byte(UInt8(ascii: ",")) }
            writer.raw(#"{"offset":"#)
            writer.digits(entry.offset)
            writer.raw(#","data":"#)
            writer.raw(entry.bytes)
            writer.byte(UInt8(ascii: "}"))
        }
        writer.raw("]")
    }

    static func presence(_ id: UInt64, _ presence: Presence) -> [UInt8] {
        var writer = JSONWriter(capacity: 128 + presence.watchers.reduce(0) { $0 + $1.info.count + 64 })
        begin(id, #","presence":{"presence":{"#, &writer)
        for (index, watcher) in presence.watchers.enumerated() {
            if index > 0 { writer.byte(UInt8(ascii: ",")) }
            writer.string(String(decoding: watcher.connection, as: UTF8.self))
            writer.byte(UInt8(ascii: ":"))
            writer.raw(watcher.info)
        }
        writer.raw("}}}")
        return WebSocketFrame.text(writer.take())
    }

    static func presenceStats(_ id: UInt64, _ presence: Presence) -> [UInt8] {
        var writer = JSONWriter(capacity: 96)
        begin(id, #","presence_stats":{"num_clients":"#, &writer)
        writer.integer(Int64(presence.clients))
        writer.raw(#","num_users":"#)
        writer.integer(Int64(presence.people))
        writer.raw("}}")
        return WebSocketFrame.text(writer.take())
    }

    /// A post, the same for all who watch.
    static func post(_ channel: ChannelID, _ offset: UInt64, _ notification: ArraySlice<UInt8>) -> [UInt8] {
        var writer = JSONWriter(capacity: notification.count + channel.text.utf8.count + 96)
        push(channel, #","pub":{"offset":"#, &writer)
        writer.digits(offset)
        writer.raw(#","data":"#)
        writer.bytes.append(contentsOf: notification)
        writer.raw("}}}")
        return WebSocketFrame.text(writer.take())
    }

    /// Somebody came, or went.
    static func tiding(_ channel: ChannelID, joins: Bool, _ info: ArraySlice<UInt8>) -> [UInt8] {
        var writer = JSONWriter(capacity: info.count + 256)
        push(channel, joins ? #","join":{"info":"# : #","leave":{"info":"#, &writer)
        writer.bytes.append(contentsOf: info)
        writer.raw("}}}")
        return WebSocketFrame.text(writer.take())
    }

    static func unsubscribe(_ channel: ChannelID, _ why: Unsubscribe) -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        push(channel, #","unsubscribe":{"code":"#, &writer)
        writer.integer(Int64(why.code))
        writer.raw(#","reason":"#)
        writer.string(why.reason)
        writer.raw("}}}")
        return WebSocketFrame.text(writer.take())
    }

    /// What others are shown of one who watches. On one line, whatever the token's `info` was written like.
    static func watcherInfo(person: PersonID?, connection: ConnectionID, info: [UInt8]?) -> [UInt8] {
        var writer = JSONWriter(capacity: 160 + (info?.count ?? 0))
        writer.raw(#"{"user":"#)
        writer.string(person?.text ?? "")
        writer.raw(#","client":"#)
        writer.string(connection.description)
        if let info {
            writer.raw(#","conn_info":"#)
            writer.line(info, info.indices)
        }
        writer.raw("}")
        return writer.take()
    }

    private static func push(_ channel: ChannelID, _ rest: String, _ writer: inout JSONWriter) {
        writer.raw(#"{"push":{"channel":"#)
        writer.string("channel:\(channel.text)")
        writer.raw(rest)
    }
}
