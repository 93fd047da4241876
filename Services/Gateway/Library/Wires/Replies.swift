import Centrifuge
import Models
import Store
import Tokens
import WebSocket

/// Pushes of the Centrifuge client protocol that many connections share, each as one complete frame.
enum Replies {
    /// A post, the same for all who watch.
    static func post(_ channel: ChannelID, _ offset: UInt64, _ notification: ArraySlice<UInt8>) -> [UInt8] {
        Codec.json.frame(Codec.json.encode(.post(channel, offset, notification)))
    }

    /// Somebody came, or went.
    static func tiding(_ channel: ChannelID, joins: Bool, _ info: ArraySlice<UInt8>) -> [UInt8] {
        Codec.json.frame(Codec.json.encode(joins ? .join(channel, info) : .leave(channel, info)))
    }

    static func unsubscribe(_ channel: ChannelID, _ why: Unsubscribe) -> [UInt8] {
        Codec.json.frame(Codec.json.encode(.unsubscribe(channel, why)))
    }

    /// What others are shown of one who watches. On one line, whatever the token's `info` was written like.
    static func watcherInfo(person: PersonID?, connection: ConnectionID, info: [UInt8]?) -> [UInt8] {
        ClientInfo(user: person?.text ?? "", client: connection.description, connectionInfo: info).json
    }
}

extension Codec {
    var opcode: WebSocketFrame.Opcode {
        switch self {
        case .json: .text
        case .protobuf: .binary
        }
    }

    /// The content as a frame.
    func frame(_ content: [UInt8]) -> [UInt8] { WebSocketFrame.encode(opcode, content) }

    /// The part of a publication's frame that is one recipient's own: header and envelope, up to the notification.
    /// - Parameters:
    ///   - notificationLength: bytes of the notification.
    ///   - tailLength: bytes of what follows, the notification among them.
    func publicationHead(_ position: StreamPosition, notificationLength: Int, tailLength: Int) -> [UInt8] {
        let publication = InboxPublication(self, at: position, notificationLength: notificationLength)
        let head = publication.headLength
        var bytes: [UInt8] = []
        bytes.reserveCapacity(head + 10)
        WebSocketFrame.appendHeader(opcode, length: head + tailLength, to: &bytes)
        publication.appendHead(to: &bytes)
        return bytes
    }

    /// The same where the tail is compressed: the envelope stands before it in a block that is not, so that the tail is
    /// compressed once for all recipients.
    func deflatedPublicationHead(_ position: StreamPosition, notificationLength: Int, tailLength: Int) -> [UInt8] {
        let publication = InboxPublication(self, at: position, notificationLength: notificationLength)
        let head = publication.headLength
        let block = MessageDeflate.storedBlockHeaderLength
        var bytes: [UInt8] = []
        bytes.reserveCapacity(head + block + 10)
        WebSocketFrame.appendHeader(opcode, length: block + head + tailLength, isCompressed: true, to: &bytes)
        MessageDeflate.appendStoredBlockHeader(length: head, to: &bytes)
        publication.appendHead(to: &bytes)
        return bytes
    }
}

extension StoredPublication {
    init(_ entry: InboxEntry) { self.init(offset: entry.offset, data: entry.bytes) }
}

extension InboxPage {
    /// What `resume` is answered with.
    var resumeAnswer: [UInt8] {
        var writer = JSONWriter(capacity: 256 + entries.reduce(0) { $0 + $1.bytes.count + 1 })
        writer.raw(#"{"unread":"#)
        writer.integer(Int64(state.unread))
        writer.raw(#","revision":"#)
        writer.digits(state.revision)
        writer.raw(#","complete":"#)
        writer.bool(isComplete)
        writer.raw(#","cursor":"#)
        writer.string(Cursor(state.position).description)
        writer.raw(#","notifications":["#)
        for (index, entry) in entries.enumerated() {
            if index > 0 { writer.byte(UInt8(ascii: ",")) }
            writer.raw(entry.bytes)
        }
        writer.raw("]}")
        return writer.take()
    }
}

extension Disconnect {
    /// By a logout, here or elsewhere.
    static let revoked = invalidToken(TokenFault.revoked.rawValue)
}
