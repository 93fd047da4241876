import Centrifuge
import Models
import Network
import WebSocket

// permessage-deflate (RFC 7692), where client and gateway have agreed on it.
extension WebSocketClient {
    /// The event as it is without compression. Inflated it may be no longer than a message that comes as it is.
    func inflated(_ event: WebSocketEvent) throws(WebSocketViolation) -> WebSocketEvent {
        guard case .compressed(let payload, let isText) = event, let deflate = node.deflate else { return event }
        return try deflate.open(payload, isText: isText, limit: node.settings.messageBytes)
    }

    /// The frame, compressed if that was agreed on and it is long enough to be worth it.
    func deflated(_ frame: [UInt8]) -> [UInt8] {
        guard isDeflating, frame.count >= node.settings.deflateBytes, let deflate = node.deflate else { return frame }
        return deflate.frame(of: frame)
    }

    /// Writes a publication whose notification is compressed once for all; false if it is better written as it is.
    func writeDeflated(_ publication: inout Publication, at position: StreamPosition) -> Bool {
        guard publication.notification.count >= node.settings.deflateBytes, let deflate = node.deflate,
            let tail = publication.deflatedTail(codec, deflate)
        else { return false }
        let length = publication.notification.count
        stream.write(codec.deflatedPublicationHead(position, notificationLength: length, tailLength: tail.count), tail)
        return true
    }
}
