import Centrifuge
import EventLoop
import Models
import ServiceRuntime
import Store

/// The clients of one loop, by their names, with their deadlines. Loop thread only.
final class Clients {
    private var slab = Slab<Client>()
    private var wheel: Wheel
    private var tokenEnds: TokenEnds
    /// Streams of clients that are not closed yet. Those of clients that have left, and get their farewell, are among them.
    private(set) var openStreams = 0
    /// Called when a client's stream has closed.
    var onStreamClosed: (() -> Void)?
    private let loop: EventLoop
    private let lease: GatewayLease
    private let removals: Removals
    private let occupancy: Occupancy
    private let metrics: GatewayMetrics
    private let log: Log

    init(
        loop: EventLoop, lease: GatewayLease, removals: Removals, occupancy: Occupancy, metrics: GatewayMetrics, log: Log
    ) {
        self.loop = loop
        self.lease = lease
        self.removals = removals
        self.occupancy = occupancy
        self.metrics = metrics
        self.log = log
        wheel = Wheel(second: loop.now / 1000)
        tokenEnds = TokenEnds(second: loop.now / 1000)
    }

    var count: Int { slab.count }
    /// How many places there are, taken or free.
    var extent: UInt32 { slab.extent }

    /// The client of that name; nil if it has left.
    subscript(name: LocalConnection) -> Client? { slab[name] }

    /// The client at this place; nil if it is free.
    subscript(place: UInt32) -> Client? { slab[place] }

    /// The person of a client that has left, if nobody has taken its place since. Answers that once.
    func forget(_ name: LocalConnection) -> PersonID? { slab.forget(name) }

    // MARK: They come and go

    /// Gives a newcomer its place and its first deadline.
    func insert<Made: Client>(firstDue: Int, _ make: (LocalConnection) -> Made) -> Made {
        var made: Made?
        let name = slab.insert { name in
            let client = make(name)
            made = client
            return client
        }
        wheel.add(name, delay: firstDue)
        guard let made else { preconditionFailure("insert calls its body") }
        metrics.doors.connections[TransportLabel(made.transport)].add()
        guard made.ownsStream else { return made }
        openStreams += 1
        return made
    }

    /// A newcomer has not got its stream. The stream still belongs to the server, which will count its end.
    func abandon(_ client: Client) {
        leave(client)
        openStreams -= 1
        onStreamClosed?()
    }

    /// To be called once, when it is known who the client is.
    func identified(_ client: Client, as person: PersonID) {
        slab.setPerson(person, of: client.name)
        if let left = client.secondsLeft(EventLoop.wallClock()) { tokenEnds.watch(client.name, left: left) }
    }

    /// Frees the client's place and removes its route. A second call does nothing.
    func leave(_ client: Client) {
        guard !client.hasLeft else { return }
        client.hasLeft = true
        let person = client.identity?.person
        if client.isCounted, let person { occupancy.leave(person) }
        slab.remove(client.name)
        client.left()
        metrics.doors.connections[TransportLabel(client.transport)].subtract()
        guard client.hasRoute, let person else { return }
        removals.remove(.route(lease.connection(client.name), of: person))
        if client.routeEpoch != lease.epochNumber, let former = lease.formerConnection(client.name) {
            removals.remove(.route(former, of: person))
        }
    }

    func streamClosed(of client: Client) {
        openStreams -= 1
        occupancy.leave(address: client.addressKey)
        onStreamClosed?()
    }

    /// Counts a connection that the gateway closes.
    func count(_ disconnect: Disconnect) {
        let label = DisconnectLabel(disconnect)
        metrics.doors.disconnects[label].increment()
        log.debug("a client is disconnected", ["reason": .name(label)])
    }

    // MARK: Time

    /// Once a second: calls the clients whose deadline has come, and closes those whose token has ended.
    func turn() {
        let now = loop.now / 1000
        let wallClock = EventLoop.wallClock()
        for name in wheel.turn(to: now) {
            guard let client = slab[name], let delay = client.due(now: now) else { continue }
            wheel.add(name, delay: delay)
        }
        for name in tokenEnds.turn(to: now, left: { slab[$0]?.secondsLeft(wallClock) }) { slab[name]?.disconnect(.expired) }
    }

    /// To be called when a client has a new token that ends sooner than the former one.
    func hastenExpiry(of client: Client) {
        if let left = client.secondsLeft(EventLoop.wallClock()) { tokenEnds.hasten(client.name, left: left) }
    }
}
