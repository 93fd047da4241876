import Centrifuge
import EventLoop
import Models
import Network
import Store
import Tokens

/// A client that reads server-sent events. Its person and its position are known before it gets the stream.
final class EventStreamClient: Client {
    /// Called once, at the registration.
    private var onBegin: CursorReader.Begin?
    private var isConnected = false
    /// What tags its cursors, if a ticket opened it.
    private let key: TagKey?

    init(
        node: GatewayNode, stream: ByteStream, name: LocalConnection, reader: CursorReader
    ) {
        key = reader.key
        onBegin = reader.onBegin
        super.init(node: node, stream: stream, name: name)
        identity = reader.identity
        // A client that does not read is served from the inbox later. Whether its machine still exists shows at each comment.
        stream.spareSlowReader()
    }

    override var transport: Transport { .sse }

    /// For how many seconds beyond the interval of comments TCP's acknowledgement may be missing.
    private static let patience = 2

    override func registered(_ page: InboxPage, start: StreamPosition, recovered: Bool) {
        isConnected = true
        stream.write(
            EventStream.connected(
                retry: node.settings.admission.jitteredRetry(), position: start, key: key, recovered: recovered, unread: page.state.unread))
        for entry in page.entries {
            var publication = Publication(entry.bytes)
            write(&publication, at: StreamPosition(epoch: start.epoch, offset: entry.offset))
        }
        let begin = onBegin
        onBegin = nil
        begin?(self, start) {}
    }

    override func notRegistered() { disconnect(.serverError) }

    override func write(_ publication: inout Publication, at position: StreamPosition) {
        stream.write(EventStream.eventHead(position, key), publication.eventStreamTail())
    }

    override func write(_ counts: InboxCounts) { stream.write(EventStream.countsEvent(counts)) }

    override func due(now: UInt64) -> Int? {
        // TCP should have acknowledged at least the previous comment by now.
        if stream.secondsUnacknowledged > node.settings.liveness.commentSeconds + Self.patience {
            node.clients.count(.noPong)
            node.clients.leave(self)
            stream.close()
            return nil
        }
        if isConnected, !stream.isBlocked { stream.write(EventStream.comment) }
        return node.settings.liveness.commentSeconds
    }

    /// An EventSource reads no reason. It is told how long to wait before it comes back, and then the stream ends.
    override func disconnect(_ disconnect: Disconnect) {
        guard !hasLeft else { return }
        node.clients.count(disconnect)
        node.clients.leave(self)
        stream.write(EventStream.retry(node.settings.admission.jitteredRetry()))
        stream.closeAfterFlush()
    }
}
