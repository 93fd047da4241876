import Centrifuge
import EventLoop
import Models
import Redis
import ServiceRuntime
import Store

/// A route that is to go.
struct Removal {
    var connection: ConnectionID
    var person: PersonID
}

// Routes, and the reads that bring a session up to its inbox.
extension Hub {
    // MARK: Registration

    /// Registers a newcomer whose identity is known; answers through `registered` or `notRegistered`.
    /// `opening` measures its first update.
    func register(_ client: Client, from start: InboxStart, opening: Opening? = nil) {
        guard isReady, let identity = client.identity else { return client.notRegistered() }
        guard countPerson(of: client, identity) else { return client.disconnect(.tooManyConnections) }
        slab.setPerson(identity.person, of: client.name)
        watchExpiry(of: client)
        refuseIfRevoked(client, identity)
        askForRoute(client, identity, from: start) { self.registered(client, start, $0, opening) }
    }

    private func askForRoute(
        _ client: Client, _ identity: Client.Identity, from start: InboxStart,
        reply: @escaping (Result<InboxPage, StoreError>) -> Void
    ) {
        client.routeEpoch = lease.epochNumber
        client.hasRoute = true
        let connection = connection(of: client)
        routes.register(
            connection, of: identity.person, device: identity.device ?? connection.description,
            transport: client.transport, from: start, limit: settings.pageEntries, bytes: settings.sendBytes,
            reply: reply)
    }

    private func registered(
        _ client: Client, _ start: InboxStart, _ result: Result<InboxPage, StoreError>, _ opening: Opening?
    ) {
        // One who has left meanwhile has sent the removal of this route behind its registration.
        guard !client.hasLeft else { return }
        guard case .success(let page) = result else { return client.notRegistered() }
        var begin = page.state.position
        var recovered = false
        if case .after(let position) = start, page.recovered {
            begin = StreamPosition(epoch: page.state.epoch, offset: position.offset)
            recovered = true
        }
        client.session.begin(at: begin)
        client.session.knows(revision: page.state.revision)
        _ = client.session.pageBegins(epoch: begin.epoch, recovered: true)
        for entry in page.entries { _ = client.session.entry(entry.offset) }
        metrics.deliveries[TransportLabel(client.transport)].increment(by: page.entries.count)
        client.registered(page, start: begin, recovered: recovered)
        log.debug(
            "a client is registered", ["transport": .name(TransportLabel(client.transport)), "recovered": .bool(recovered)])
        if let opening {
            metrics.firstUpdate[TransportLabel(client.transport)][opening.name].observe(milliseconds: loop.now &- opening.at)
        }
        guard !client.hasLeft else { return }
        let isComplete = !recovered || page.isComplete
        perform(
            client.session.pageEnds(top: page.state.offset, isComplete: isComplete, isFull: isHeld(client)), for: client)
        // A `resume` that came behind the connect waits for this read.
        settle(client)
        renewRouteIfStale(client)
    }

    // MARK: Reading

    /// Does what a session's verdict asks for; `send` is its caller's own.
    func perform(_ verdict: Session.Verdict, for client: Client) {
        switch verdict {
        case .send, .keep: break
        case .read: read(client)
        case .lose: client.disconnect(.historyLost)
        }
    }

    private func read(_ client: Client, inWalk: Bool = false) {
        guard let person = client.identity?.person else { return }
        inbox.page(
            of: person, from: .after(client.session.position), limit: pageLimit(of: client), bytes: settings.sendBytes
        ) { self.arrived($0, for: client, inWalk: inWalk) }
    }

    private func arrived(_ result: Result<InboxPage, StoreError>, for client: Client, inWalk: Bool) {
        if !client.hasLeft {
            switch result {
            case .success(let page): take(page, for: client)
            case .failure:
                client.session.readFailed()
                stalled.insert(client.name)
            }
            settle(client)
            renewRouteIfStale(client)
        }
        if inWalk { walked() }
    }

    private func take(_ page: InboxPage, for client: Client) {
        let verdict = client.session.pageBegins(epoch: page.state.epoch, recovered: page.recovered)
        guard verdict == .read else { return perform(verdict, for: client) }
        // The page before it has filled the socket meanwhile: one of them at a time waits in memory.
        if !client.hasRoom(for: page.entries.reduce(0) { $0 + $1.bytes.count }) { return client.session.postponed() }
        var isCut = false
        let now = EventLoop.wallClock()
        let due = client.session.isHeldBack ? .max : now - Int64(client.age)
        for entry in page.entries {
            if let flow = client.flow, entry.offset > client.session.position.offset {
                guard let isWanted = admits(entry.offset, flow) else {
                    isCut = true
                    break
                }
                guard isWanted else {
                    _ = client.session.entry(entry.offset)
                    continue
                }
            }
            guard client.session.entry(entry.offset) == .send else { continue }
            var publication = Publication(entry.bytes)
            client.write(&publication, at: StreamPosition(epoch: page.state.epoch, offset: entry.offset))
            metrics.deliveries[TransportLabel(client.transport)].increment()
            // How late it is says something of us where the event came while she was connected and could have been sent it.
            if entry.accepted >= due {
                metrics.delays.observe(delay(since: entry.accepted, now), publication.priority(), client.transport)
            }
        }
        perform(
            client.session.pageEnds(top: page.state.offset, isComplete: page.isComplete && !isCut, isFull: isHeld(client)),
            for: client)
        if !client.hasLeft { tell(page.state.counts, to: client) }
    }

    // MARK: All sessions, paced

    /// Compares every session with its inbox, and gives a new route to whose route is of a former epoch.
    func startWalk() {
        guard lease.canRead else { return }
        metrics.reconciliations.increment()
        walk.start()
        goOnWalking()
        channels.verifyAll()
    }

    private func goOnWalking() {
        guard lease.canRead else { return walk.stop() }
        while case .visit(let index) = walk.step(extent: slab.extent) {
            guard let client = slab[index], client.hasRoute else { continue }
            if visit(client, inWalk: true) { walk.began() }
            if reviewCredential(of: client) { walk.began() }
        }
    }

    /// Something that the walk began has ended.
    func walked() {
        walk.ended()
        goOnWalking()
    }

    /// True if a read began whose end the walk will hear of.
    private func visit(_ client: Client, inWalk: Bool) -> Bool {
        if client.routeEpoch != lease.epochNumber, isReady { return renewRoute(client, inWalk: inWalk) }
        guard client.session.verify(isFull: isHeld(client)) == .read else {
            settle(client)
            return false
        }
        read(client, inWalk: inWalk)
        return true
    }

    private func renewRouteIfStale(_ client: Client) {
        guard isReady, client.routeEpoch != lease.epochNumber, client.routeEpoch != 0, !client.hasLeft else { return }
        _ = renewRoute(client, inWalk: false)
    }

    private func renewRoute(_ client: Client, inWalk: Bool) -> Bool {
        guard let identity = client.identity, client.session.registerAgain() else { return false }
        let former = lease.formerConnection(client.name)
        askForRoute(client, identity, from: .after(client.session.position)) { result in
            if case .failure = result {
                client.routeEpoch = 0
            } else if let former {
                // Its old route, should Redis have lost our counter and nothing else.
                self.remove(Removal(connection: former, person: identity.person))
            }
            self.arrived(result, for: client, inWalk: inWalk)
        }
        return true
    }

    /// Reads that failed while Redis was up, or whose route could not be renewed.
    func retryStalled() {
        guard isReady, !stalled.isEmpty else { return }
        // Some at a time, as everything else that touches all sessions.
        let names = Array(stalled.prefix(2_000))
        stalled.subtract(names)
        for name in names {
            guard let client = slab[name] else { continue }
            _ = visit(client, inWalk: false)
            // Something else is being read for it, behind which nothing would ask for its route.
            if client.routeEpoch == 0 { stalled.insert(name) }
        }
    }

    // MARK: Removal

    /// Removes a route; what fails is tried again until it succeeds ("Compare before you remove").
    func remove(_ removal: Removal) {
        guard redis.isUp else { return keep(removal) }
        removalsInFlight += 1
        routes.unregister(removal.connection, of: removal.person) { result in
            self.removalsInFlight -= 1
            if case .failure = result { self.keep(removal) }
            self.onStreamClosed?()
        }
    }

    private func keep(_ removal: Removal) {
        metrics.removalsDropped.increment(by: removals.keep(removal))
        metrics.removalsWaiting.set(removals.count)
    }

    /// Some at a time, so that they do not stand before everything else.
    func retryRemovals() {
        guard redis.isUp, !removals.isEmpty, removalsInFlight < 1_000 else { return }
        for removal in removals.take(2_000) { remove(removal) }
        metrics.removalsWaiting.set(removals.count)
    }

    /// A message came for a connection that is not held: its route is one too many.
    func removeGhost(_ name: LocalConnection) {
        metrics.ghosts.increment()
        guard let person = slab.forget(name) else { return }
        remove(Removal(connection: lease.connection(name), person: person))
    }
}
