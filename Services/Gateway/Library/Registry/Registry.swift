import Centrifuge
import EventLoop
import Models
import ServiceRuntime
import Store

/// The routes of this loop's connections. A route is made when the client is known, and made again under a new epoch. Loop
/// thread only.
final class Registry {
    private let loop: EventLoop
    private let clients: Clients
    private let lease: GatewayLease
    private let routes: Routes
    private let removals: Removals
    private let occupancy: Occupancy
    private let credentials: CredentialCheck
    private let settings: GatewaySettings
    private let metrics: GatewayMetrics
    private let log: Log

    init(
        loop: EventLoop, clients: Clients, lease: GatewayLease, routes: Routes, removals: Removals, occupancy: Occupancy,
        credentials: CredentialCheck, settings: GatewaySettings, metrics: GatewayMetrics, log: Log
    ) {
        self.loop = loop
        self.clients = clients
        self.lease = lease
        self.routes = routes
        self.removals = removals
        self.occupancy = occupancy
        self.credentials = credentials
        self.settings = settings
        self.metrics = metrics
        self.log = log
    }

    // MARK: A newcomer

    /// Registers a newcomer whose identity is known. It answers by the client's `registered` or `notRegistered`.
    /// - Parameter opening: when the connection was opened, to measure the time to its first update.
    func register(_ client: Client, from start: InboxStart, opening: Opening? = nil) {
        guard lease.isReady, let identity = client.identity else { return client.notRegistered() }
        client.isCounted = occupancy.enter(identity.person, limit: settings.admission.maxPerPerson)
        guard client.isCounted else { return client.disconnect(.tooManyConnections) }
        clients.identified(client, as: identity.person)
        // Both are asked at once and answered in any order: who is not known to be good yet is written nothing.
        var isGood = false
        var welcome: (() -> Void)?
        credentials.refuseIfRevoked(client, identity) {
            isGood = true
            welcome?()
        }
        askForRoute(client, identity, from: start) { page in
            if isGood { return self.registered(client, start, page, opening) }
            welcome = { self.registered(client, start, page, opening) }
        }
    }

    private func askForRoute(
        _ client: Client, _ identity: Client.Identity, from start: InboxStart, reply: @escaping (InboxPage?) -> Void
    ) {
        client.routeEpoch = lease.epochNumber
        client.hasRoute = true
        let connection = lease.connection(client.name)
        routes.register(
            connection, of: identity.person, device: identity.device ?? connection.description,
            transport: client.transport, from: start, limit: settings.sending.pageEntries, bytes: settings.sending.bytes
        ) { reply(try? $0.get()) }
    }

    private func registered(_ client: Client, _ start: InboxStart, _ page: InboxPage?, _ opening: Opening?) {
        // If the client has left meanwhile, the removal of this route was sent behind the registration.
        guard !client.hasLeft else { return }
        guard let page else { return client.notRegistered() }
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
        metrics.delivery.deliveries[TransportLabel(client.transport)].increment(by: page.entries.count)
        client.registered(page, start: begin, recovered: recovered)
        log.debug(
            "a client is registered", ["transport": .name(TransportLabel(client.transport)), "recovered": .bool(recovered)])
        if let opening {
            metrics.doors.firstUpdate[TransportLabel(client.transport)][opening.name].observe(milliseconds: loop.now &- opening.at)
        }
        guard !client.hasLeft else { return }
        let isComplete = !recovered || page.isComplete
        client.perform(client.session.pageEnds(top: page.state.offset, isComplete: isComplete, isFull: client.isHeld))
        // A `resume` that came behind the connect waits for this read.
        client.readEnded()
    }

    // MARK: A new epoch

    /// Whether the client's route is of a former epoch, and can be made again now.
    func isStale(_ client: Client) -> Bool { client.routeEpoch != lease.epochNumber && lease.isReady }

    /// Asks for the route again if it is of a former epoch, unless that has just failed.
    func renewIfStale(_ client: Client) {
        guard !client.hasLeft, client.routeEpoch != 0, isStale(client) else { return }
        _ = renew(client, then: nil)
    }

    /// Asks for the route under the present epoch. That reads a page as well. Answers false if it cannot be done now, because a
    /// read is under way. Otherwise `done` is called when the call was answered.
    func renew(_ client: Client, then done: (() -> Void)?) -> Bool {
        guard let identity = client.identity, client.session.registerAgain() else { return false }
        let former = lease.formerConnection(client.name)
        askForRoute(client, identity, from: .after(client.session.position)) { [self] page in
            if page == nil {
                client.routeEpoch = 0
            } else if let former {
                // Redis may have lost the lease and nothing else. Then the former route is still there.
                removals.remove(.route(former, of: identity.person))
            }
            client.arrived(page)
            done?()
        }
        return true
    }

    // MARK: Ghosts

    /// A message came for a connection that is not here. Its route is removed.
    func removeGhost(_ name: LocalConnection) {
        metrics.delivery.ghosts.increment()
        guard let person = clients.forget(name) else { return }
        removals.remove(.route(lease.connection(name), of: person))
    }
}
