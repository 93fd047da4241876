import EventLoop
import Models
import Store

/// What is brought up to a stream by reading pages of it: a client and its inbox, a channel that somebody watches, and a watcher
/// that is behind its channel.
protocol StreamReader: AnyObject {
    /// Where it stands.
    var session: Session { get set }
    /// Nobody reads for it any more; a page that still comes is nothing to it.
    var hasEnded: Bool { get }
    /// It can be sent nothing now, be it for its socket or for what it has asked for.
    var isHeld: Bool { get }

    /// Asks for the page after `session.position`. The reply is nil if it could not be read.
    func requestPage(_ reply: @escaping (InboxPage?) -> Void)
    /// Whether a page of so many bytes may be written to it.
    func hasRoom(for bytes: Int) -> Bool
    /// What becomes of an entry that the page brings and it has not had.
    func admits(_ offset: UInt64) -> EntryAdmission
    /// - Parameter now: ms since 1970.
    func write(_ entry: InboxEntry, at position: StreamPosition, now: Int64)
    /// The entries of a page that it was to have are written; the verdict on the page follows.
    func pageIsWritten()
    /// A page was taken, and its verdict is carried out.
    func pageIsTaken(_ state: InboxState)
    /// Nothing is to be read for it now.
    func rests()
    /// What it was to have is not there any more.
    func lose()
    /// Its read failed: somebody is to repeat it.
    func readFailed()
    /// Its read has ended, well or not.
    func readEnded()
}

/// What becomes of an entry of a page.
enum EntryAdmission {
    /// It is written.
    case write
    /// It has been sent before, ahead of its turn, and is passed over.
    case skip
    /// There is no room for it: the page ends here.
    case stop
}

extension StreamReader {
    func admits(_ offset: UInt64) -> EntryAdmission { .write }
    func pageIsWritten() {}
    func pageIsTaken(_ state: InboxState) {}
    func rests() {}
    func readEnded() {}
}

// Catching up: the one loop by which every reader comes up to its stream ("One position"). A verdict asks for a page, the page gives the
// next verdict, until nothing more is known, or the reader can take no more.
extension StreamReader {
    /// Does what a session's verdict asks for; `send` is its caller's own.
    func perform(_ verdict: Session.Verdict) {
        switch verdict {
        case .send, .keep: rests()
        case .read: read()
        case .lose: lose()
        }
    }

    /// Reads the next page. `done` is called when it has been taken, or could not be read.
    func read(then done: (() -> Void)? = nil) {
        requestPage { page in
            self.arrived(page)
            done?()
        }
    }

    /// A page has come; nil: it could not be read.
    func arrived(_ page: InboxPage?) {
        guard !hasEnded else { return }
        if let page {
            take(page)
        } else {
            session.readFailed()
            readFailed()
        }
        readEnded()
    }

    private func take(_ page: InboxPage) {
        let verdict = session.pageBegins(epoch: page.state.epoch, recovered: page.recovered)
        guard verdict == .read else { return perform(verdict) }
        // The page before it has filled the socket meanwhile: one of them at a time waits in memory.
        guard hasRoom(for: page.entries.reduce(0) { $0 + $1.bytes.count }) else { return session.postponed() }
        let isCut = writeEntries(of: page)
        pageIsWritten()
        perform(session.pageEnds(top: page.state.offset, isComplete: page.isComplete && !isCut, isFull: isHeld))
        pageIsTaken(page.state)
    }

    /// True if there was no room for all of them.
    private func writeEntries(of page: InboxPage) -> Bool {
        let now = EventLoop.wallClock()
        for entry in page.entries where entry.offset > session.position.offset {
            let admission = admits(entry.offset)
            if admission == .stop { return true }
            guard session.entry(entry.offset) == .send, admission == .write else { continue }
            write(entry, at: StreamPosition(epoch: page.state.epoch, offset: entry.offset), now: now)
        }
        return false
    }
}
