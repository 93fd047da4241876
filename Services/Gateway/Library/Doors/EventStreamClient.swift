import Centrifuge
import EventLoop
import Models
import Network
import Store
import Tokens

/// A client that reads server-sent events. Who it is and where it begins is known before the stream is its own.
final class EventStreamClient: Client {
    /// Called once, with the position at which it began.
    private var onBegin: ((EventStreamClient, StreamPosition) -> Void)?
    private var isConnected = false
    /// What tags its cursors, if a ticket opened it.
    private let key: TagKey?

    init(
        node: GatewayNode, stream: ByteStream, name: LocalConnection, identity: Identity, key: TagKey?,
        onBegin: ((EventStreamClient, StreamPosition) -> Void)?
    ) {
        self.key = key
        self.onBegin = onBegin
        super.init(node: node, stream: stream, name: name)
        self.identity = identity
        // Who does not read is served from the inbox later; whether its machine is there at all, each comment tells.
        stream.spareSlowReader()
    }

    override var transport: Transport { .sse }

    /// Seconds beyond a comment's interval for which its acknowledgement may be missing.
    private static let patience = 2

    override func registered(_ page: InboxPage, start: StreamPosition, recovered: Bool) {
        isConnected = true
        stream.write(
            EventStream.connected(
                retry: node.settings.jitteredRetry(), position: start, key: key, recovered: recovered, unread: page.state.unread))
        for entry in page.entries {
            var publication = Publication(entry.bytes)
            write(&publication, at: StreamPosition(epoch: start.epoch, offset: entry.offset))
        }
        let begin = onBegin
        onBegin = nil
        begin?(self, start)
    }

    override func notRegistered() { disconnect(.serverError) }

    override func write(_ publication: inout Publication, at position: StreamPosition) {
        stream.write(EventStream.eventHead(position, key), publication.eventStreamTail())
    }

    override func write(_ counts: InboxCounts) { stream.write(EventStream.read(counts)) }

    override func due(now: UInt64) -> Int? {
        // The comment before this one, at the latest, should have been acknowledged long ago.
        if stream.secondsUnacknowledged > node.settings.commentSeconds + Self.patience {
            node.clients.count(.noPong)
            node.clients.leave(self)
            stream.close()
            return nil
        }
        if isConnected, !stream.isBlocked { stream.write(EventStream.comment) }
        return node.settings.commentSeconds
    }

    /// An EventSource reads no reason: the end of the stream is the whole message, and how long to wait before it returns.
    override func disconnect(_ disconnect: Disconnect) {
        guard !hasLeft else { return }
        node.clients.count(disconnect)
        node.clients.leave(self)
        stream.write(EventStream.retry(node.settings.jitteredRetry()))
        stream.closeAfterFlush()
    }
}
