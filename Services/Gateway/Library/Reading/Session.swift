import Models

/// Where one client stands in its person's inbox, for every transport: the law "One position". Pure: an event goes in, a
/// verdict comes out.
///
/// It holds a position and the highest offset that it has heard of, and no message. What it cannot send at once is read from
/// the inbox later, so a slow client costs no more than a fast one. At most one read is under way for a session.
struct Session: Equatable {
    enum Phase: UInt8 {
        /// A read (or the registration, which reads too) is under way.
        case reading
        /// There is more to read, and the socket is full, or Redis is away.
        case waiting
        /// Everything up to `position` was sent, and there is nothing more as far as is known.
        case live
        /// The inbox does not hold the client's position any more. The client was told.
        case lost
    }

    enum Verdict: Equatable {
        /// Write it to the client.
        case send
        /// Nothing to do.
        case keep
        /// Read a page after `position`.
        case read
        /// Tell the client that its history is gone, and close.
        case lose
    }

    /// The last offset that was written to the client, and its epoch. Epoch 0: not registered yet.
    private(set) var position = StreamPosition(epoch: 0, offset: 0)
    private(set) var phase = Phase.reading
    /// The client could take no more, because of its socket or because it asked for that. What it gets before it is live again
    /// is late by its own doing.
    private(set) var isHeldBack = false
    /// The lower half of the revision of the unread count that the client knows.
    private(set) var revision: UInt32 = 0
    /// The highest offset that was announced in this epoch.
    private var heard: UInt64 = 0
    /// What `heard` was when the read under way began. If the inbox does not hold that offset, it has lost entries.
    private var expected: UInt64 = 0
    /// The read under way may have begun too early. Another read follows when it ends.
    private var rereads = false

    /// A client that is being registered: a read is under way.
    init() {}

    // MARK: What is announced

    /// A message arrived for this session. `isFull`: the socket's buffer has no room.
    mutating func announced(_ message: StreamPosition, isFull: Bool) -> Verdict {
        guard phase != .lost else { return .keep }
        guard message.epoch == position.epoch else { return announcedElsewhere(message) }
        if message.offset <= position.offset { return .keep }
        heard = max(heard, message.offset)
        guard phase == .live else { return .keep }
        if message.offset == position.offset &+ 1, !isFull {
            position.offset = message.offset
            return .send
        }
        return isFull ? wait() : beginRead()
    }

    /// A message of an older epoch is late, and its inbox is no more. A message of a newer epoch says that the session's inbox
    /// is no more. If a read is under way, the read will show that, in the right order.
    private mutating func announcedElsewhere(_ message: StreamPosition) -> Verdict {
        guard message.epoch > position.epoch else { return .keep }
        if phase == .live { return beginRead() }
        rereads = true
        return .keep
    }

    /// Something may have been lost: read behind the position.
    mutating func verify(isFull: Bool) -> Verdict {
        switch phase {
        case .live: isFull ? wait() : beginRead()
        case .waiting: isFull ? .keep : beginRead()
        case .reading: readOnceMore()
        case .lost: .keep
        }
    }

    /// The unread count has this revision. `isFull`: the client can take nothing now.
    ///
    /// A client that cannot be told now waits for its next page, which tells it. Before the answer to the registration nothing
    /// may be said. That answer may be older than this, so another read follows.
    mutating func counted(revision counted: UInt64, isFull: Bool) -> Verdict {
        let counted = UInt32(truncatingIfNeeded: counted)
        guard phase != .lost, Int32(bitPattern: counted &- revision) > 0 else { return .keep }
        if position.epoch == 0 { return readOnceMore() }
        guard isFull else {
            revision = counted
            return .send
        }
        switch phase {
        case .live: return wait()
        case .reading: return readOnceMore()
        case .waiting, .lost: return .keep
        }
    }

    /// The client knows the count of this revision from an answer. It may have been told a newer one meanwhile.
    mutating func knows(revision known: UInt64) {
        let known = UInt32(truncatingIfNeeded: known)
        if Int32(bitPattern: known &- revision) > 0 { revision = known }
    }

    /// The socket has room again.
    mutating func drained() -> Verdict { phase == .waiting ? beginRead() : .keep }

    // MARK: What is read

    /// The registration was answered: the client begins at this position.
    mutating func begin(at position: StreamPosition) {
        self.position = position
    }

    /// A page begins. `recovered`: the script says that no entry is missing between the position and the page.
    mutating func pageBegins(epoch: UInt64, recovered: Bool) -> Verdict {
        guard phase == .reading else { return .keep }
        guard recovered, epoch == position.epoch else {
            phase = .lost
            return .lose
        }
        return .read
    }

    /// The next entry of the page.
    mutating func entry(_ offset: UInt64) -> Verdict {
        guard phase == .reading, offset > position.offset else { return .keep }
        position.offset = offset
        return .send
    }

    /// The page ends. `top` is the inbox's last offset when it was read; `isComplete`: no entry stands behind the page.
    mutating func pageEnds(top: UInt64, isComplete: Bool, isFull: Bool) -> Verdict {
        guard phase == .reading else { return .keep }
        if isComplete {
            guard top >= expected else {
                phase = .lost
                return .lose
            }
            // The last entries may have been deleted. The position passes their offsets all the same.
            position.offset = max(position.offset, top)
        }
        heard = max(heard, position.offset)
        let isDone = isComplete && heard == position.offset && !rereads
        rereads = false
        if isDone {
            phase = .live
            isHeldBack = false
            return .keep
        }
        return isFull ? wait() : beginRead()
    }

    /// The page is not used, because the socket has no room for it. It is read again when there is room.
    mutating func postponed() {
        if phase == .reading { _ = wait() }
    }

    /// The read failed. It is repeated by `verify`.
    mutating func readFailed() {
        if phase == .reading { phase = .waiting }
    }

    /// The route is made again, which reads a page as well. Answers false if that cannot be done now, because a read is under way.
    mutating func registerAgain() -> Bool {
        guard phase == .live || phase == .waiting else { return false }
        _ = beginRead()
        return true
    }

    private mutating func beginRead() -> Verdict {
        phase = .reading
        expected = heard
        return .read
    }

    private mutating func readOnceMore() -> Verdict {
        rereads = true
        return .keep
    }

    private mutating func wait() -> Verdict {
        phase = .waiting
        isHeldBack = true
        return .keep
    }
}
