import Models
import ServiceRuntime
import Store
import WebSocket

/// What the gateway says in the Centrifuge client protocol, each as one complete frame.
enum Replies {
    /// `{}`: a ping of the application's own, which the SDKs count on.
    static let ping = WebSocketFrame.text(Array("{}".utf8))

    /// How every answer begins.
    static func begin(_ id: UInt64, _ rest: String, _ writer: inout JSONWriter) {
        writer.raw(#"{"id":"#)
        writer.digits(id)
        writer.raw(rest)
    }

    static func error(_ id: UInt64, _ error: ReplyError) -> [UInt8] {
        var writer = JSONWriter(capacity: 96)
        begin(id, #","error":{"code":"#, &writer)
        writer.integer(Int64(error.code))
        writer.raw(#","message":"#)
        writer.string(error.message)
        if error.isTemporary { writer.raw(#","temporary":true"#) }
        writer.raw("}}")
        return WebSocketFrame.text(writer.take())
    }

    static func refresh(_ id: UInt64, client: String, ttl: Int64) -> [UInt8] {
        var writer = JSONWriter(capacity: 160)
        begin(id, #","refresh":{"client":"#, &writer)
        writer.string(client)
        writer.raw(#","version":"carillon \#(Version.text)","expires":true,"ttl":"#)
        writer.integer(ttl)
        writer.raw("}}")
        return WebSocketFrame.text(writer.take())
    }

    /// What a connect is answered with.
    struct Connected {
        var id: UInt64
        var client: String
        /// Seconds until the client should bring a new token.
        var ttl: Int64
        var pingSeconds: Int
        /// Before the publications: an SDK that is cut off while it takes them asks again from here.
        var position: StreamPosition
        var wasRecovering: Bool
        var recovered: Bool
        var counts: InboxCounts
    }

    /// The reply with the first page in it. `publications` are (offset, notification) in their order.
    static func connected(_ reply: Connected, _ publications: [(offset: UInt64, bytes: [UInt8])]) -> [UInt8] {
        var writer = JSONWriter(capacity: 512 + publications.reduce(0) { $0 + $1.bytes.count + 96 })
        begin(reply.id, #","connect":{"client":"#, &writer)
        writer.string(reply.client)
        writer.raw(#","version":"carillon \#(Version.text)","expires":true,"ttl":"#)
        writer.integer(reply.ttl)
        writer.raw(#","ping":"#)
        writer.integer(Int64(reply.pingSeconds))
        writer.raw(#","data":"#)
        reply.counts.write(to: &writer)
        writer.raw(#","pong":true,"subs":{"inbox":{"recoverable":true,"positioned":true,"epoch":""#)
        writer.digits(reply.position.epoch)
        writer.raw(#"","offset":"#)
        writer.digits(reply.position.offset)
        if reply.wasRecovering { writer.raw(#","was_recovering":true"#) }
        writer.raw(#","recovered":"#)
        writer.bool(reply.recovered)
        if !publications.isEmpty {
            writer.raw(#","publications":["#)
            for (index, publication) in publications.enumerated() {
                if index > 0 { writer.byte(UInt8(ascii: ",")) }
                writer.raw(#"{"offset":"#)
                Self.offsetAndTags(
                    StreamPosition(epoch: reply.position.epoch, offset: publication.offset), to: &writer.bytes)
                writer.raw(publication.bytes)
                writer.byte(UInt8(ascii: "}"))
            }
            writer.raw("]")
        }
        writer.raw("}}}}")
        return WebSocketFrame.text(writer.take())
    }

    /// The answer to an `rpc`. `data` is JSON.
    static func rpc(_ id: UInt64, _ data: [UInt8]) -> [UInt8] {
        WebSocketFrame.text(Array(#"{"id":\#(id),"rpc":{"data":"#.utf8) + data + Array("}}".utf8))
    }

    /// A push that belongs to no channel. `data` is JSON.
    static func message(_ data: [UInt8]) -> [UInt8] {
        WebSocketFrame.text(Array(#"{"push":{"message":{"data":"#.utf8) + data + Array("}}}".utf8))
    }

    /// The answer to `resume` (nil: to a `send`, which has none), and in the same frame the position from which the
    /// subscription goes on.
    static func resumed(_ id: UInt64?, _ page: InboxPage) -> [UInt8] {
        var writer = JSONWriter(capacity: 384 + page.entries.reduce(0) { $0 + $1.bytes.count + 1 })
        if let id {
            begin(id, #","rpc":{"data":{"unread":"#, &writer)
            writer.integer(Int64(page.state.unread))
            writer.raw(#","revision":"#)
            writer.digits(page.state.revision)
            writer.raw(#","complete":"#)
            writer.bool(page.isComplete)
            writer.raw(#","cursor":"#)
            writer.string(Cursor(page.state.position).description)
            writer.raw(#","notifications":["#)
            for (index, entry) in page.entries.enumerated() {
                if index > 0 { writer.byte(UInt8(ascii: ",")) }
                writer.raw(entry.bytes)
            }
            writer.raw("]}}}\n")
        }
        writer.raw(#"{"push":{"channel":"inbox","subscribe":{"recoverable":true,"positioned":true,"epoch":""#)
        writer.digits(page.state.epoch)
        writer.raw(#"","offset":"#)
        writer.digits(page.state.offset)
        writer.raw("}}}")
        return WebSocketFrame.text(writer.take())
    }

    private static let pushStart = Array(#"{"push":{"channel":"inbox","pub":{"offset":"#.utf8)
    private static let tagsStart = Array(#","tags":{"cursor":"1."#.utf8)
    private static let dataStart = Array(#""},"data":"#.utf8)
    /// What closes a publication's frame behind its notification.
    static let pushEnd = Array("}}}".utf8)

    private static func offsetAndTags(_ position: StreamPosition, to bytes: inout [UInt8]) {
        appendDigits(position.offset, to: &bytes)
        bytes.append(contentsOf: tagsStart)
        position.append(to: &bytes)
        bytes.append(contentsOf: dataStart)
    }

    /// The part of a publication's frame that is one recipient's own: header and envelope, up to the notification.
    /// `tailLength`: bytes of the notification and of `pushEnd`.
    static func pushHead(_ position: StreamPosition, tailLength: Int) -> [UInt8] {
        let envelope = envelopeLength(position)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(envelope + 10)
        WebSocketFrame.appendHeader(.text, length: envelope + tailLength, to: &bytes)
        bytes.append(contentsOf: pushStart)
        offsetAndTags(position, to: &bytes)
        return bytes
    }

    /// The same where the tail is compressed: the envelope stands before it in a block that is not, so that the tail is
    /// compressed once for all recipients.
    static func deflatedPushHead(_ position: StreamPosition, tailLength: Int) -> [UInt8] {
        let envelope = envelopeLength(position)
        let block = MessageDeflate.storedBlockHeaderLength
        var bytes: [UInt8] = []
        bytes.reserveCapacity(envelope + block + 10)
        WebSocketFrame.appendHeader(.text, length: block + envelope + tailLength, isCompressed: true, to: &bytes)
        MessageDeflate.appendStoredBlockHeader(length: envelope, to: &bytes)
        bytes.append(contentsOf: pushStart)
        offsetAndTags(position, to: &bytes)
        return bytes
    }

    /// A frame's header's length is known only with the envelope's: the digits of two numbers.
    private static func envelopeLength(_ position: StreamPosition) -> Int {
        let epoch = digitCount(position.epoch)
        let offset = digitCount(position.offset)
        return pushStart.count + tagsStart.count + dataStart.count + epoch + 2 * offset + 1
    }

    private static func digitCount(_ value: UInt64) -> Int {
        var count = 1
        var rest = value / 10
        while rest > 0 {
            count += 1
            rest /= 10
        }
        return count
    }
}
