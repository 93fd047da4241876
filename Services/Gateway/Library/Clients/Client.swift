import Centrifuge
import EventLoop
import Models
import Network
import Store
import Tokens

/// One client's connection, from its opening to its end. Its stream and its place in the slab keep it alive. Loop thread only.
///
/// 15,000 of these exist at a time, so they hold nothing that is rare.
class Client: ByteStreamHandler {
    /// Who the client is, once that is known.
    struct Identity {
        var person: PersonID
        /// Nil: the connection's name is used in its place.
        var device: String?
        /// The hash of the token's `jti`; 0: it has none.
        var token: UInt64
        // Both are seconds since 1970 in 32 bits, which last until 2106. That is half the bytes for each connection.
        private var end: UInt32
        private var start: UInt32
        /// What the token allows beside the inbox. Most tokens allow nothing else.
        var grants: Grants?

        /// The token's `exp`.
        var expires: Int64 {
            get { Int64(end) }
            set { end = UInt32(clamping: newValue) }
        }
        /// The token's `iat`; 0: it has none.
        var issued: Int64 { Int64(start) }

        init(
            person: PersonID, device: String?, expires: Int64, token: UInt64 = 0, issued: Int64 = 0, grants: Grants? = nil
        ) {
            self.person = person
            self.device = device
            self.token = token
            end = UInt32(clamping: expires)
            start = UInt32(clamping: issued)
            self.grants = grants
        }

        init(_ claims: TokenClaims, _ person: PersonID, device: String?) {
            self.init(
                person: person, device: claims.device ?? device, expires: claims.expires, token: claims.idHash,
                issued: claims.issuedAt ?? 0, grants: Grants(channels: claims.channels, info: claims.info))
        }
    }

    let node: GatewayNode
    let stream: ByteStream
    let name: LocalConnection
    final var session = Session()
    final var identity: Identity?
    /// The number of the instance's epoch under which its route was asked for last. 0: it was never asked for, or that failed.
    final var routeEpoch: UInt16 = 0
    /// Redis may have a route of it.
    final var hasRoute = false
    /// It is not in the slab any more. Only its farewell is still written.
    final var hasLeft = false
    /// It counts among its person's connections.
    final var isCounted = false
    /// The key under which it counts among the connections of its address; 0: it counts for no address.
    final var addressKey: UInt32 = 0
    /// When its connection was accepted, by the loop's clock in ms, the lower half.
    private let openedAt: UInt32

    /// A window, a rate or a pause; nil if the client has asked for none.
    final var flow: Flow?

    /// - Parameter openedAt: when its connection was accepted, by the loop's clock in ms; nil: now.
    init(node: GatewayNode, stream: ByteStream, name: LocalConnection, openedAt: UInt64? = nil) {
        self.node = node
        self.stream = stream
        self.name = name
        self.openedAt = UInt32(truncatingIfNeeded: openedAt ?? node.loop.now)
    }

    /// How long ago its connection was accepted, ms; right for 49 days.
    final var age: UInt32 { UInt32(truncatingIfNeeded: node.loop.now) &- openedAt }

    var transport: Transport { .websocket }
    /// Whether the stream belongs to this client. The stream of a poll belongs to HTTP, which counts it.
    var ownsStream: Bool { true }

    /// Whether the small buffer for the client's socket is full, in bytes, in messages, or in time. Beyond it, the inbox is the
    /// queue. If one turn alone fills the buffer, its bytes are offered to the socket before the turn ends.
    final func isFull() -> Bool {
        if !stream.isBlocked {
            guard stream.queuedBytes >= node.settings.sending.bytes else { return false }
            stream.flushNow()
            guard stream.isBlocked else { return false }
        }
        return stream.queuedBytes >= node.settings.sending.bytes || stream.queuedChunks >= 2 * node.settings.sending.messages
            || stream.secondsBlocked >= node.settings.sending.seconds
    }

    final var isPaused: Bool { flow?.control.isPaused ?? false }

    /// Whether nothing may be sent that it did not ask for, because its socket is full or because it has paused.
    final func takesNothing() -> Bool { isFull() || isPaused }

    /// Whether so many bytes more may wait for the socket.
    final func hasRoom(for bytes: Int) -> Bool {
        !isPaused && (!stream.isBlocked || stream.queuedBytes + bytes <= node.settings.sending.bytes)
    }

    /// Whole seconds until its token ends; nil if the client is not known yet. `wallClock`: ms since 1970.
    final func secondsLeft(_ wallClock: Int64) -> Int? {
        identity.map { Int(clamping: $0.expires - wallClock / 1000) }
    }

    /// Tells the client how many are unread, if that is newer than what it knows. A client that can take nothing now learns it
    /// with its next page.
    final func tell(_ counts: InboxCounts) {
        guard session.counted(revision: counts.revision, isFull: takesNothing()) == .send else { return }
        write(counts)
    }

    // MARK: What each transport does in its own way

    func received(_ bytes: Span<UInt8>) {}
    /// Writes one notification.
    func write(_ publication: inout Publication, at position: StreamPosition) {}
    /// Writes how many notifications are unread.
    func write(_ counts: InboxCounts) {}
    /// The registration was answered: tell the client, with the first page. `session` has read that page already.
    func registered(_ page: InboxPage, start: StreamPosition, recovered: Bool) {}
    /// The registration failed for now: ask the client to come back.
    func notRegistered() {}
    /// Its deadline in the wheel has come. Answers the seconds until the next one; nil if the client is closed now.
    func due(now: UInt64) -> Int? { nil }
    /// Says farewell and closes.
    func disconnect(_ disconnect: Disconnect) {}
    /// Called when it has left the slab.
    func left() {}
    /// Called when it can be sent something again: its socket has room, or a pause has ended.
    func hasRoomAgain() {}

    // MARK: From the stream

    final func drained() {
        hasRoomAgain()
        if flow != nil { return node.sessions.release(self) }
        perform(session.drained())
    }

    final func closed(_ reason: StreamClosure) {
        node.clients.leave(self)
        node.clients.streamClosed(of: self)
    }
}
