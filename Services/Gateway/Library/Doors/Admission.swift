import EventLoop
import HTTP
import Network
import ServiceRuntime

/// Decides who is let in. The counts are those of the whole process (`Occupancy`). Loop thread only.
final class Admission {
    /// For a gateway without MAX_CONNECTIONS: how many descriptors are kept for other things than clients, and how many clients
    /// there may be at least.
    private static let ownDescriptors = 256
    private static let fewestConnections = 16

    private let loop: EventLoop
    private let lease: GatewayLease
    private let occupancy: Occupancy
    private let settings: AdmissionSettings
    private let metrics: GatewayMetrics
    private let refusals: Refusals
    private let maxConnections: Int
    /// The loop drains: nobody is let in any more.
    private var isDraining = false

    init(
        loop: EventLoop, lease: GatewayLease, occupancy: Occupancy, settings: AdmissionSettings, metrics: GatewayMetrics,
        refusals: Refusals
    ) {
        self.loop = loop
        self.lease = lease
        self.occupancy = occupancy
        self.settings = settings
        self.metrics = metrics
        self.refusals = refusals
        maxConnections = settings.maxConnections ?? max(Self.fewestConnections, Int(descriptorLimit()) - Self.ownDescriptors)
    }

    func drains() { isDraining = true }

    // MARK: Sockets

    /// Looks at a newcomer's socket, before anything is read from it. Answers the key under which its address is counted, 0 for
    /// a proxy. Nil: there is no room even to answer it.
    func admitStream(_ stream: ByteStream) -> UInt32? {
        guard occupancy.connections < maxConnections + Occupancy.reserve else { return refuseStream(.overload) }
        var key: UInt32 = 0
        if let peer = stream.peer, !RequestOrigin.isTrusted(peer, settings.trustedProxies) {
            key = Occupancy.key(peer)
            guard occupancy.enterAddress(key, limit: settings.maxPerAddress + Occupancy.reserve) else {
                return refuseStream(.address)
            }
        }
        occupancy.enter()
        return key
    }

    private func refuseStream(_ why: RefusalLabel) -> UInt32? {
        metrics.doors.refusals[why].increment()
        return nil
    }

    /// A socket has closed that no client had taken over.
    func streamIsGone(address: UInt32) { occupancy.leave(address: address) }

    // MARK: Requests

    /// Why the request cannot be served now, and after how many ms the client may come back; nil if it can be served.
    func refusal(of request: HTTPRequest, _ exchange: HTTPExchange) -> (why: RefusalLabel, delay: UInt64)? {
        if isDraining { return (.draining, settings.jitteredRetry()) }
        if occupancy.connections > maxConnections { return (.overload, settings.jitteredRetry()) }
        let isSession = request.path.hasPrefix("/connection/")
        if isOverAddress(request, exchange, isSession: isSession) { return (.address, settings.jitteredRetry()) }
        if !lease.isReady { return (.redis, settings.jitteredRetry()) }
        // A poll with a cursor goes on with what an earlier one began. The limits of connections bound these polls.
        let isNewcomer = isSession && (request.path != "/connection/poll" || request.pollCursor == nil)
        guard isNewcomer else { return nil }
        if case .refused(let spread) = occupancy.admit(now: loop.now) {
            return (.admission, settings.jitteredRetry() + UInt64.random(in: 0...spread))
        }
        metrics.doors.admissions.increment()
        return nil
    }

    private func isOverAddress(_ request: HTTPRequest, _ exchange: HTTPExchange, isSession: Bool) -> Bool {
        if let key = exchange.tag, key != 0, !isForwarded(exchange) {
            return occupancy.connections(ofAddress: key) > settings.maxPerAddress
        }
        // A proxy's connection carries one client after another. It counts for the client whose session it becomes.
        guard isSession, exchange.stream?.peer != nil else { return false }
        if let former = exchange.tag, former != 0 { occupancy.leaveAddress(former) }
        exchange.tag = 0
        guard let key = clientAddress(request, exchange).map(Occupancy.key) else { return false }
        guard occupancy.enterAddress(key, limit: settings.maxPerAddress) else { return true }
        exchange.tag = key
        return false
    }

    /// Counts a request that could not be read, or took too long to arrive.
    func requestFailed(_ error: HTTPError) {
        metrics.doors.refusals[error.status == 408 ? .timeout : .malformed].increment()
    }

    // MARK: Addresses

    /// The client's address; nil if it is not known, or is one of `TRUSTED_PROXIES`.
    func clientAddress(_ request: HTTPRequest, _ exchange: HTTPExchange) -> NetworkAddress? {
        exchange.stream?.peer.flatMap {
            RequestOrigin.address(peer: $0, forwarded: request.tokens("x-forwarded-for"), trusted: settings.trustedProxies)
        }
    }

    /// Where a request came from, for the log line of its refusal.
    func address(_ request: HTTPRequest, _ exchange: HTTPExchange) -> LoggedAddress? {
        (clientAddress(request, exchange) ?? exchange.stream?.peer).map(refusals.logged)
    }

    private func isForwarded(_ exchange: HTTPExchange) -> Bool {
        exchange.stream?.peer.map { RequestOrigin.isTrusted($0, settings.trustedProxies) } ?? false
    }
}
