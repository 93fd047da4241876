import Centrifuge
import Models
import Network
import WebSocket

// permessage-deflate (RFC 7692), if client and gateway have agreed on it.
extension WebSocketClient {
    /// The event without its compression. An inflated message may be as long as one that was not compressed.
    func inflated(_ event: WebSocketEvent) throws(WebSocketViolation) -> WebSocketEvent {
        guard case .compressed(let payload, let isText) = event, let deflate = node.deflate else { return event }
        return try deflate.open(payload, isText: isText, limit: node.settings.calls.messageBytes)
    }

    /// The frame, compressed if that was agreed on and the frame is long enough.
    func deflated(_ frame: [UInt8]) -> [UInt8] {
        guard isDeflating, frame.count >= node.settings.deflate.minimumBytes, let deflate = node.deflate else { return frame }
        return deflate.frame(of: frame)
    }

    /// Writes a publication whose notification was compressed once for all clients. Answers false, and writes nothing, if
    /// compression does not make it shorter.
    func writeDeflated(_ publication: inout Publication, at position: StreamPosition) -> Bool {
        guard publication.notification.count >= node.settings.deflate.minimumBytes, let deflate = node.deflate,
            let tail = publication.deflatedTail(codec, deflate)
        else { return false }
        let length = publication.notification.count
        stream.write(codec.deflatedPublicationHead(position, notificationLength: length, tailLength: tail.count), tail)
        return true
    }
}
