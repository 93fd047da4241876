import EventLoop
import Models
import Redis
import ServiceRuntime
import Store

/// Those whom nothing but their rate keeps back, so that time alone makes room: looked at 20 times a second while there are
/// any, and not at all while there are none.
final class Pacing {
    static let period = Duration.milliseconds(50)

    fileprivate var names: [LocalConnection] = []
    fileprivate var timer: LoopTimer?
}

// Clients that have asked for a window, a rate or a pause.
extension Hub {
    /// Whether a client can be sent nothing now, be it for its socket or for what it has asked for.
    func isHeld(_ client: Client) -> Bool {
        if client.isFull() { return true }
        guard let flow = client.flow else { return false }
        return flow.control.room(now: loop.now) == 0
    }

    /// Entries that a page for this client may have.
    func pageLimit(of client: Client) -> Int {
        guard let flow = client.flow else { return settings.pageEntries }
        return min(settings.pageEntries, max(1, flow.control.room(now: loop.now)))
    }

    /// One entry of a page is about to be written. False if it went ahead of the flow and is not to be written again; nil if
    /// there is no room left, and the page ends here.
    func admits(_ offset: UInt64, _ flow: Flow) -> Bool? {
        if flow.control.room(now: loop.now) == 0 { return nil }
        if flow.control.wentAhead(offset) { return false }
        flow.control.sent(offset, now: loop.now)
        return true
    }

    /// A live message for a client that controls its flow.
    func deliver(
        _ publication: inout Publication, at position: StreamPosition, delay: Int64?, to client: Client, _ flow: Flow
    ) {
        let wasLive = client.session.phase == .live
        switch client.session.announced(position, isFull: isHeld(client)) {
        case .send:
            guard !flow.control.wentAhead(position.offset) else { break }
            flow.control.sent(position.offset, now: loop.now)
            client.write(&publication, at: position)
            written(&publication, delay: delay, to: client)
        case .keep:
            if wasLive, client.session.phase != .live { metrics.catchUps.increment() }
            sendAhead(&publication, at: position, delay: delay, to: client, flow)
        case .read:
            metrics.catchUps.increment()
            perform(.read, for: client)
        case .lose: perform(.lose, for: client)
        }
        settle(client)
    }

    /// High priority passes a rate. Such a publication carries the position at which the flow stands, not its own: whoever
    /// recovers from it misses nothing of what still waits.
    private func sendAhead(
        _ publication: inout Publication, at position: StreamPosition, delay: Int64?, to client: Client, _ flow: Flow
    ) {
        let session = client.session
        guard session.phase == .waiting, position.epoch == session.position.epoch,
            position.offset > session.position.offset, !client.isFull(), publication.priority() == .high,
            flow.control.goesAhead(position.offset)
        else { return }
        client.write(&publication, at: session.position)
        written(&publication, delay: delay, to: client)
    }

    /// After whatever may have changed where a client stands: what waits for time is looked at again, and a `resume` that
    /// waited for a read is carried out.
    func settle(_ client: Client) {
        guard let flow = client.flow, !client.hasLeft else { return }
        flow.control.passed(client.session.position.offset)
        if flow.resumes != nil { resume(client, flow) }
        guard client.session.phase == .waiting, !flow.isPaced, flow.control.waitsForTime(now: loop.now) else { return }
        flow.isPaced = true
        pacing.names.append(client.name)
        if pacing.timer == nil {
            pacing.timer = loop.timer(after: Pacing.period, every: Pacing.period) { [weak self] in self?.pace() }
        }
    }

    private func pace() {
        var waiting: [LocalConnection] = []
        swap(&waiting, &pacing.names)
        for name in waiting {
            guard let client = slab[name], let flow = client.flow else { continue }
            if client.session.phase == .waiting, flow.control.waitsForTime(now: loop.now) {
                pacing.names.append(name)
            } else {
                flow.isPaced = false
                release(client)
            }
        }
        guard pacing.names.isEmpty else { return }
        pacing.timer?.cancel()
        pacing.timer = nil
    }

    /// There may be room again: goes on from the inbox.
    func release(_ client: Client) {
        guard !client.hasLeft, client.session.phase == .waiting else { return }
        if !isHeld(client) { perform(client.session.drained(), for: client) }
        settle(client)
    }

    // MARK: Pause

    /// Answers with what is unread and the newest page of what came meanwhile, and goes on live behind it.
    func resume(_ client: Client, _ flow: Flow) {
        guard let answer = flow.resumes, let person = client.identity?.person, client.session.registerAgain() else { return }
        flow.resumes = nil
        inbox.newest(
            of: person, after: client.session.position, limit: settings.pageEntries, bytes: settings.sendBytes
        ) { [self] result in
            guard !client.hasLeft else { return }
            switch result {
            case .success(let page): resumed(client, flow, page, answer)
            case .failure:
                client.session.readFailed()
                stalled.insert(client.name)
                answer(nil)
            }
            settle(client)
        }
    }

    private func resumed(_ client: Client, _ flow: Flow, _ page: InboxPage, _ answer: (InboxPage?) -> Void) {
        let verdict = client.session.pageBegins(epoch: page.state.epoch, recovered: page.recovered)
        guard verdict == .read else { return perform(verdict, for: client) }
        var shown = page
        // What had gone ahead of the flow has been shown.
        shown.entries = page.entries.filter { entry in
            _ = client.session.entry(entry.offset)
            return !flow.control.wentAhead(entry.offset)
        }
        flow.control.isPaused = flow.pausesAgain
        client.session.knows(revision: page.state.revision)
        answer(shown)
        guard !client.hasLeft else { return }
        perform(
            client.session.pageEnds(top: page.state.offset, isComplete: true, isFull: isHeld(client)), for: client)
        // What it watches goes on as well.
        client.hasRoomAgain()
    }
}
