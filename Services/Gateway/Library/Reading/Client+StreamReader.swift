import Centrifuge
import EventLoop
import Models
import ServiceRuntime
import Store

// A client reads its person's inbox.
extension Client: StreamReader {
    final var hasEnded: Bool { hasLeft }

    final var isHeld: Bool {
        if isFull() { return true }
        guard let flow else { return false }
        return flow.control.room(now: node.loop.now) == 0
    }

    final func requestPage(_ reply: @escaping (InboxPage?) -> Void) {
        guard let person = identity?.person else { return reply(nil) }
        node.sessions.inbox.page(
            of: person, from: .after(session.position), limit: pageLimit, bytes: node.settings.sending.bytes
        ) { reply(try? $0.get()) }
    }

    /// How many entries a page for it may have.
    private var pageLimit: Int {
        guard let flow else { return node.settings.sending.pageEntries }
        return min(node.settings.sending.pageEntries, max(1, flow.control.room(now: node.loop.now)))
    }

    final func admits(_ offset: UInt64) -> EntryAdmission {
        guard let flow else { return .write }
        let now = node.loop.now
        if flow.control.room(now: now) == 0 { return .stop }
        if flow.control.wentAhead(offset) { return .skip }
        flow.control.sent(offset, now: now)
        return .write
    }

    final func write(_ entry: InboxEntry, at position: StreamPosition, now: Int64) {
        var publication = Publication(entry.bytes)
        write(&publication, at: position)
        node.metrics.delivery.deliveries[TransportLabel(transport)].increment()
        // The delay is only measured if the client was connected when the event came, and could have been sent it.
        guard !session.isHeldBack, entry.accepted >= now - Int64(age) else { return }
        node.metrics.delivery.delays.observe(delay(since: entry.accepted, now), publication.priority(), transport)
    }

    final func pageIsTaken(_ state: InboxState) {
        if !hasLeft { tell(state.counts) }
    }

    final func lose() { disconnect(.historyLost) }

    final func readFailed() { node.sessions.readFailed(self) }

    final func readEnded() {
        node.sessions.settle(self)
        node.registry.renewIfStale(self)
    }
}
