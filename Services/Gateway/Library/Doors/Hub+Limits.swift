import EventLoop
import HTTP
import Network
import ServiceRuntime

// Who may come in, and how many. What is counted is the process's (Occupancy).
extension Hub {
    /// A newcomer's socket, before anything is read from it: what it is counted under, or nil if there is no room even for
    /// words. A proxy's own address counts for nobody.
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
        metrics.refusals[why].increment()
        return nil
    }

    /// Why the request cannot be served now, and after how many ms it may be; nil if it can.
    func refusal(of request: HTTPRequest, _ exchange: HTTPExchange) -> (why: RefusalLabel, delay: UInt64)? {
        if isDraining { return (.draining, jitteredRetry()) }
        if occupancy.connections > maxConnections { return (.overload, jitteredRetry()) }
        let isSession = request.path.hasPrefix("/connection/")
        if isOverAddress(request, exchange, isSession: isSession) { return (.address, jitteredRetry()) }
        if !isReady { return (.redis, jitteredRetry()) }
        // A poll that brings a cursor goes on; how many of those there are is bounded by their connections.
        let isNewcomer = isSession && (request.path != "/connection/poll" || request.pollCursor == nil)
        guard isNewcomer else { return nil }
        if case .refused(let spread) = occupancy.admit(now: loop.now) {
            return (.admission, jitteredRetry() + UInt64.random(in: 0...spread))
        }
        metrics.admissions.increment()
        return nil
    }

    private func isOverAddress(_ request: HTTPRequest, _ exchange: HTTPExchange, isSession: Bool) -> Bool {
        if let key = exchange.tag, key != 0, !isForwarded(exchange) {
            return occupancy.connections(ofAddress: key) > settings.maxPerAddress
        }
        // A proxy's connection carries one client after another: it counts for whom it becomes a session.
        guard isSession, exchange.stream?.peer != nil else { return false }
        if let former = exchange.tag, former != 0 { occupancy.leaveAddress(former) }
        exchange.tag = 0
        guard let key = clientAddress(request, exchange).map(Occupancy.key) else { return false }
        guard occupancy.enterAddress(key, limit: settings.maxPerAddress) else { return true }
        exchange.tag = key
        return false
    }

    /// The client's address; nil if it is not known, or is one of `TRUSTED_PROXIES`.
    func clientAddress(_ request: HTTPRequest, _ exchange: HTTPExchange) -> NetworkAddress? {
        exchange.stream?.peer.flatMap {
            RequestOrigin.address(peer: $0, forwarded: request.tokens("x-forwarded-for"), trusted: settings.trustedProxies)
        }
    }

    /// Where a request came from, for the line of its refusal.
    func address(_ request: HTTPRequest, _ exchange: HTTPExchange) -> LoggedAddress? {
        (clientAddress(request, exchange) ?? exchange.stream?.peer).map(refusals.logged)
    }

    /// Where a connection came from that has outlived its request.
    func address(of client: Client) -> LoggedAddress? {
        client.addressKey == 0 ? client.stream.peer.map(refusals.logged) : refusals.logged(key: client.addressKey)
    }

    private func isForwarded(_ exchange: HTTPExchange) -> Bool {
        exchange.stream?.peer.map { RequestOrigin.isTrusted($0, settings.trustedProxies) } ?? false
    }

    /// One more session of the client's person; false if there are too many.
    func countPerson(of client: Client, _ identity: Client.Identity) -> Bool {
        client.isCounted = occupancy.enter(identity.person, limit: settings.maxPerPerson)
        return client.isCounted
    }

    /// A request that could not be read, or took too long to arrive.
    func requestFailed(_ error: HTTPError) {
        metrics.refusals[error.status == 408 ? .timeout : .malformed].increment()
    }
}
