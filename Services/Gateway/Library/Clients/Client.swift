import Centrifuge
import EventLoop
import Models
import Network
import Store
import Tokens

/// One client's connection, from its opening to its end. Loop thread only. Kept alive by its stream and by its place in
/// the slab.
///
/// 15,000 of these exist at a time: what is rare does not live here.
class Client: ByteStreamHandler {
    /// Who it is, once that is known.
    struct Identity {
        var person: PersonID
        /// Nil: the connection's own name stands for it.
        var device: String?
        /// What the token's `jti` is known by; 0: it has none.
        var token: UInt64
        // Both in seconds since 1970, which end in 2106 so: half the bytes for each connection.
        private var end: UInt32
        private var start: UInt32
        /// What the token allows beside the inbox; mostly nothing.
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
    /// The number of the instance's epoch under which its route was last asked for; 0: that failed, or was never.
    final var routeEpoch: UInt16 = 0
    /// A route of it may stand in Redis.
    final var hasRoute = false
    /// It is not in the slab any more; what is still written to it is its farewell.
    final var hasLeft = false
    /// It counts among its person's connections.
    final var isCounted = false
    /// What it counts under among its address's connections; 0: under none.
    final var addressKey: UInt32 = 0
    /// When its connection was accepted, by the loop's clock in ms, the lower half.
    private let openedAt: UInt32

    /// A window, a rate or a pause, for who has asked for one.
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
    /// Whether the stream is this client's; a poll's stays HTTP's, which counts it.
    var ownsStream: Bool { true }

    /// Whether the small buffer for what the socket did not take is full, in bytes, in messages, or in time: past it, the
    /// inbox is the queue. What one turn brings is offered to the socket early where it alone would fill the buffer.
    final func isFull() -> Bool {
        if !stream.isBlocked {
            guard stream.queuedBytes >= node.settings.sendBytes else { return false }
            stream.flushNow()
            guard stream.isBlocked else { return false }
        }
        return stream.queuedBytes >= node.settings.sendBytes || stream.queuedChunks >= 2 * node.settings.sendMessages
            || stream.secondsBlocked >= node.settings.sendSeconds
    }

    final var isPaused: Bool { flow?.control.isPaused ?? false }

    /// Whether it can be sent nothing that it did not ask for, be it for its socket or because it has paused.
    final func takesNothing() -> Bool { isFull() || isPaused }

    /// Whether so many bytes more may wait for the socket.
    final func hasRoom(for bytes: Int) -> Bool {
        !isPaused && (!stream.isBlocked || stream.queuedBytes + bytes <= node.settings.sendBytes)
    }

    /// Whole seconds until its token ends; nil if it is not known who it is. `wallClock`: ms since 1970.
    final func secondsLeft(_ wallClock: Int64) -> Int? {
        identity.map { Int(clamping: $0.expires - wallClock / 1000) }
    }

    /// Tells it how many are unread, if that is newer than what it knows; one that can take nothing now learns it with the page
    /// that it will read.
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
    /// The registration has been answered: say so, with the first page, which `session` has taken already.
    func registered(_ page: InboxPage, start: StreamPosition, recovered: Bool) {}
    /// The registration failed for now: ask the client to come back.
    func notRegistered() {}
    /// Its place in the wheel is due. Seconds until it is due again; nil if it is closed now.
    func due(now: UInt64) -> Int? { nil }
    /// Says farewell and closes.
    func disconnect(_ disconnect: Disconnect) {}
    /// It is not in the slab any more.
    func left() {}
    /// It can be sent something again: its socket has room, or a pause has ended.
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
