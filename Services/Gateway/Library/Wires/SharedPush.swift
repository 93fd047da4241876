import Centrifuge
import Models
import Store
import Tokens
import WebSocket

/// One value for each codec. It is made when the first connection of that codec asks for it.
struct PerCodec<Value> {
    private var json: Value?
    private var protobuf: Value?

    mutating func value(_ codec: Codec, _ make: () -> Value) -> Value {
        switch codec {
        case .json:
            if let json { return json }
            let made = make()
            json = made
            return made
        case .protobuf:
            if let protobuf { return protobuf }
            let made = make()
            protobuf = made
            return made
        }
    }
}

/// A push that many connections share, as one complete frame of each codec.
struct SharedPush {
    private let push: Push
    private var frames = PerCodec<[UInt8]>()

    init(_ push: Push) { self.push = push }

    mutating func frame(_ codec: Codec) -> [UInt8] {
        let push = push
        return frames.value(codec) { codec.frame(codec.encode(push)) }
    }
}

extension ClientInfo {
    /// What other watchers are shown of a watcher.
    init(person: PersonID?, connection: ConnectionID, info: [UInt8]?) {
        self.init(user: person?.text ?? "", client: connection.description, connectionInfo: info)
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

    /// The part of a publication's frame that differs from recipient to recipient: the header and the envelope, up to the
    /// notification.
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

    /// The same for a compressed tail. The envelope stands before it in a block without compression, so that the tail is
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
    /// The answer to `resume`.
    var resumeAnswer: [UInt8] {
        let notifications = joinedEntries
        var writer = JSONWriter(capacity: 256 + notifications.count)
        writer.raw(#"{"unread":"#)
        writer.integer(Int64(state.unread))
        writer.raw(#","revision":"#)
        writer.digits(state.revision)
        writer.raw(#","complete":"#)
        writer.bool(isComplete)
        writer.raw(#","cursor":"#)
        writer.string(Cursor(state.position).description)
        writer.raw(#","notifications":["#)
        writer.raw(notifications)
        writer.raw("]}")
        return writer.take()
    }
}

extension Disconnect {
    /// By a logout, here or elsewhere.
    static let revoked = invalidToken(TokenFault.revoked.rawValue)
}
