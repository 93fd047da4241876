import EventLoop
import Models
import Store

/// Something that follows a stream by reading pages: a client follows its inbox, a channel and a watcher that is behind follow the
/// channel's stream.
protocol StreamReader: AnyObject {
    /// Its position in the stream.
    var session: Session { get set }
    /// It has ended. A page that still comes is ignored.
    var hasEnded: Bool { get }
    /// It can be sent nothing now, because of its socket or because it asked for that.
    var isHeld: Bool { get }

    /// Asks for the page after `session.position`. The reply is nil if it could not be read.
    func requestPage(_ reply: @escaping (InboxPage?) -> Void)
    /// Whether a page of so many bytes may be written to it.
    func hasRoom(for bytes: Int) -> Bool
    /// What is done with an entry of the page that is new to it.
    func admits(_ offset: UInt64) -> EntryAdmission
    /// - Parameter now: ms since 1970.
    func write(_ entry: InboxEntry, at position: StreamPosition, now: Int64)
    /// The entries of a page were written. The verdict on the page follows.
    func pageIsWritten()
    /// A page was written, and its verdict was carried out.
    func pageIsTaken(_ state: InboxState)
    /// There is nothing to read for it now.
    func rests()
    /// Entries that it has not had are gone from the stream.
    func lose()
    /// Its read failed, and has to be repeated.
    func readFailed()
    /// Its read has ended, with success or not.
    func readEnded()
}

/// What is done with an entry of a page.
enum EntryAdmission {
    /// It is written.
    case write
    /// It was sent before, ahead of its turn, and is skipped.
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

// Catching up ("One position"): all readers use this loop. A verdict asks for a page, and the page gives the next verdict. This
// ends when there is nothing more, or when the reader can take no more.
extension StreamReader {
    /// Does what a session's verdict asks for. The caller itself does `send`.
    func perform(_ verdict: Session.Verdict) {
        switch verdict {
        case .send, .keep: rests()
        case .read: readPage()
        case .lose: lose()
        }
    }

    /// Reads the next page. `done` is called when it was written, or could not be read.
    func readPage(then done: (() -> Void)? = nil) {
        requestPage { page in
            self.arrived(page)
            done?()
        }
    }

    /// A page has come. Nil: it could not be read.
    func arrived(_ page: InboxPage?) {
        guard !hasEnded else { return }
        if let page {
            accept(page)
        } else {
            session.readFailed()
            readFailed()
        }
        readEnded()
    }

    private func accept(_ page: InboxPage) {
        let verdict = session.pageBegins(epoch: page.state.epoch, recovered: page.recovered)
        guard verdict == .read else { return perform(verdict) }
        // The previous page may still wait for the socket. Only one page at a time waits in memory.
        guard hasRoom(for: page.entries.reduce(0) { $0 + $1.bytes.count }) else { return session.postponed() }
        let isCut = writeEntries(of: page)
        pageIsWritten()
        perform(session.pageEnds(top: page.state.offset, isComplete: page.isComplete && !isCut, isFull: isHeld))
        pageIsTaken(page.state)
    }

    /// Answers true if there was no room for all of them.
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
