import Models

/// Where one client stands in its person's inbox, whatever transport it came by: the law "One position". Pure: events
/// in, a verdict out.
///
/// It holds a position and the highest offset it has heard of, and no message: what it cannot send at once is read from
/// the inbox again, so a slow client costs what a fast one does. At most one read is under way for a session.
struct Session: Equatable {
    enum Phase: UInt8 {
        /// A read (or the registration, which reads too) is under way.
        case reading
        /// There is more to read, and the socket, or Redis, cannot have it now.
        case waiting
        /// Everything up to `position` was sent and nothing more is known.
        case live
        /// What the client had is not there any more; it has been told.
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
    /// The client can take no more than it was sent, be it for its socket or because it asked for that: what it gets before it is
    /// live again is late by its own doing.
    private(set) var isHeldBack = false
    /// The revision of the unread count that the client knows, its lower half.
    private(set) var revision: UInt32 = 0
    /// The highest offset that was announced in this epoch.
    private var heard: UInt64 = 0
    /// What `heard` was when the read under way began: the inbox must hold it, or it has forgotten.
    private var expected: UInt64 = 0
    /// The read under way may have begun too early to see something: read once more when it ends.
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
        return isFull ? wait() : read()
    }

    /// An older epoch is a late message of an inbox that is no more. A newer one says that ours is no more; while a read is
    /// under way, that read will say so itself, with the order of things on its side.
    private mutating func announcedElsewhere(_ message: StreamPosition) -> Verdict {
        guard message.epoch > position.epoch else { return .keep }
        if phase == .live { return read() }
        rereads = true
        return .keep
    }

    /// Loss is suspected: read from the position on, whatever was announced.
    mutating func verify(isFull: Bool) -> Verdict {
        switch phase {
        case .live: isFull ? wait() : read()
        case .waiting: isFull ? .keep : read()
        case .reading: readOnceMore()
        case .lost: .keep
        }
    }

    /// The unread count was found to have this revision. `isFull`: the client can take nothing now.
    ///
    /// What it cannot be told it will be told by the next page, for which it then waits. While the registration is under
    /// way nothing may be said before its answer, which may be older than this.
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

    /// The client knows the count of this revision, from an answer; it may have been told a newer one meanwhile.
    mutating func knows(revision known: UInt64) {
        let known = UInt32(truncatingIfNeeded: known)
        if Int32(bitPattern: known &- revision) > 0 { revision = known }
    }

    /// The socket has room again.
    mutating func drained() -> Verdict { phase == .waiting ? read() : .keep }

    // MARK: What is read

    /// A registration's answer: where this client begins, and whether that is where it asked to begin.
    mutating func begin(at position: StreamPosition) {
        self.position = position
    }

    /// A page begins. `recovered` is the script's word on whether it joins the position without a hole.
    mutating func pageBegins(epoch: UInt64, recovered: Bool) -> Verdict {
        guard phase == .reading else { return .keep }
        guard recovered, epoch == position.epoch else {
            phase = .lost
            return .lose
        }
        return .read
    }

    /// An entry of the page, in its order.
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
            // The last entries may have been deleted: their offsets are passed all the same.
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
        return isFull ? wait() : read()
    }

    /// The page that came is not taken, for the socket has no room for it: it is read again when there is room.
    mutating func postponed() {
        if phase == .reading { _ = wait() }
    }

    /// The read failed. It is repeated by `verify`.
    mutating func readFailed() {
        if phase == .reading { phase = .waiting }
    }

    /// The route is made again, which reads a page as well; false if that cannot be now, because a read is under way.
    mutating func registerAgain() -> Bool {
        guard phase == .live || phase == .waiting else { return false }
        _ = read()
        return true
    }

    private mutating func read() -> Verdict {
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
