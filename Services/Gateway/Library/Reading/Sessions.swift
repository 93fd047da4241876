import EventLoop
import Models
import Store

/// What is done for all sessions of one loop: they are compared with their inboxes after a loss, reads that failed are
/// repeated, and sessions that wait for their rate go on. Loop thread only.
final class Sessions {
    /// How many reads that failed are repeated in one second.
    private static let retriesASecond = 2_000

    private let loop: EventLoop
    private let clients: Clients
    private let lease: GatewayLease
    private let registry: Registry
    private let credentials: CredentialCheck
    let inbox: Inbox
    private let settings: GatewaySettings
    private let pacing: Pacing
    /// Sessions whose read failed. They are looked at each second.
    private var stalled: Set<LocalConnection> = []
    private lazy var walker = Walker(
        window: settings.loops.reconcileWindow, canRead: { [unowned self] in lease.canRead },
        extent: { [unowned self] in clients.extent }, visit: { [unowned self] in visit($0) })

    init(
        loop: EventLoop, clients: Clients, lease: GatewayLease, registry: Registry, credentials: CredentialCheck, inbox: Inbox,
        settings: GatewaySettings
    ) {
        self.loop = loop
        self.clients = clients
        self.lease = lease
        self.registry = registry
        self.credentials = credentials
        self.inbox = inbox
        self.settings = settings
        pacing = Pacing(loop: loop)
    }

    // MARK: All sessions, paced

    /// Compares every session with its inbox, and makes routes of a former epoch again.
    func compareAll() { walker.start() }

    func stopComparing() { walker.stop() }

    private func visit(_ place: UInt32) -> Int {
        guard let client = clients[place], client.hasRoute else { return 0 }
        let done = { [self] in walker.readEnded() }
        let reads = compare(client, then: done)
        // The control line that revoked its token may have been lost.
        let asks = credentials.review(client, then: done)
        return (reads ? 1 : 0) + (asks ? 1 : 0)
    }

    /// Answers true if a read began. `done` is called when it has ended.
    private func compare(_ client: Client, then done: (() -> Void)?) -> Bool {
        if registry.isStale(client) { return registry.renew(client, then: done) }
        guard client.session.verify(isFull: client.isHeld) == .read else {
            settle(client)
            return false
        }
        client.readPage(then: done)
        return true
    }

    // MARK: Reads that failed

    func readFailed(_ client: Client) { stalled.insert(client.name) }

    /// Once a second: repeats reads that failed while Redis was up, and asks again for routes that could not be made.
    func retryStalled() {
        guard lease.isReady, !stalled.isEmpty else { return }
        let names = Array(stalled.prefix(Self.retriesASecond))
        stalled.subtract(names)
        for name in names {
            guard let client = clients[name] else { continue }
            _ = compare(client, then: nil)
            // Another read is under way for it. Nothing would ask for its route after that.
            if client.routeEpoch == 0 { stalled.insert(name) }
        }
    }

    // MARK: Clients that have asked for a window, a rate or a pause

    /// To be called when a client's position or flow may have changed. A client that waits for time is given to `Pacing`, and a
    /// `resume` that waited for a read is carried out.
    func settle(_ client: Client) {
        guard let flow = client.flow, !client.hasLeft else { return }
        flow.control.passed(client.session.position.offset)
        if flow.resumes != nil { resume(client, flow) }
        guard client.session.phase == .waiting, !flow.isPaced, flow.control.waitsForTime(now: loop.now) else { return }
        flow.isPaced = true
        pacing.add(client.name) { [unowned self] in isStillWaiting($0) }
    }

    /// Whether the client still waits for time. If it does not, it goes on.
    private func isStillWaiting(_ name: LocalConnection) -> Bool {
        guard let client = clients[name], let flow = client.flow else { return false }
        if client.session.phase == .waiting, flow.control.waitsForTime(now: loop.now) { return true }
        flow.isPaced = false
        release(client)
        return false
    }

    /// There may be room again: the client goes on from its inbox.
    func release(_ client: Client) {
        guard !client.hasLeft, client.session.phase == .waiting else { return }
        if !client.isHeld { client.perform(client.session.drained()) }
        settle(client)
    }

    /// Answers with the unread count and the newest page of what came meanwhile. The client goes on live behind it.
    func resume(_ client: Client, _ flow: Flow) {
        guard let answer = flow.resumes, let person = client.identity?.person, client.session.registerAgain() else { return }
        flow.resumes = nil
        inbox.newest(
            of: person, after: client.session.position, limit: settings.sending.pageEntries, bytes: settings.sending.bytes
        ) { [self] result in
            guard !client.hasLeft else { return }
            switch result {
            case .success(let page): resumed(client, flow, page, answer)
            case .failure:
                client.session.readFailed()
                readFailed(client)
                answer(nil)
            }
            settle(client)
        }
    }

    private func resumed(_ client: Client, _ flow: Flow, _ page: InboxPage, _ answer: (InboxPage?) -> Void) {
        let verdict = client.session.pageBegins(epoch: page.state.epoch, recovered: page.recovered)
        guard verdict == .read else { return client.perform(verdict) }
        var shown = page
        // The publications ahead of the flow were shown.
        shown.entries = page.entries.filter { entry in
            _ = client.session.entry(entry.offset)
            return !flow.control.wentAhead(entry.offset)
        }
        flow.control.isPaused = flow.pausesAgain
        client.session.knows(revision: page.state.revision)
        answer(shown)
        guard !client.hasLeft else { return }
        client.perform(client.session.pageEnds(top: page.state.offset, isComplete: true, isFull: client.isHeld))
        // The channels that it watches go on as well.
        client.hasRoomAgain()
    }
}
