public import EventLoop

/// An HTTP client: libcurl's multi interface on the loop. Requests share connections, and over HTTP/2 many share one. Every request
/// ends: with an answer, an error, or its deadline.
///
/// Confined to the loop's thread. Proxies of the environment are not used, redirects not followed.
public final class HTTPClient {
    private let loop: EventLoop
    private let configuration: HTTPClientConfiguration
    private var pool: ConnectionPool
    /// A request of theirs had no answer in time: they take no new ones, and go with their last.
    ///
    /// libcurl 7.88 ends the stream of such a request and goes on putting requests on its connection, dead or not, as long as
    /// others wait on it; and it does not say which connection that is. So all are left, the good with the bad.
    private var retired: [ConnectionPool] = []
    private var isClosed = false

    public init(loop: EventLoop, configuration: HTTPClientConfiguration = HTTPClientConfiguration()) {
        loop.assertCurrent()
        self.loop = loop
        self.configuration = configuration
        pool = ConnectionPool(loop: loop, configuration: configuration)
        watch(pool)
    }

    /// Requests that have not ended.
    public var inFlight: Int { retired.reduce(pool.inFlight) { $0 + $1.inFlight } }

    /// Sends a request; `completion` is called once, on the loop, never within this call.
    public func send(
        _ request: HTTPClientRequest, _ completion: @escaping (Result<HTTPClientResponse, HTTPClientError>) -> Void
    ) {
        loop.assertCurrent()
        if let refusal = refusal(of: request) {
            loop.atTurnEnd { completion(.failure(refusal)) }
            return
        }
        pool.send(request, completion)
    }

    /// Ends everything: what is under way answers `closed`. A second call does nothing.
    public func close() {
        isClosed = true
        for pool in retired + [pool] { pool.close() }
        retired = []
    }

    deinit {
        close()
    }

    /// What is sent from now on gets new connections.
    private func retire(_ silent: ConnectionPool) {
        guard !isClosed, silent === pool else { return }
        retired.append(silent)
        pool = ConnectionPool(loop: loop, configuration: configuration)
        watch(pool)
    }

    private func watch(_ pool: ConnectionPool) {
        pool.onSilence = { [unowned self, unowned pool] in self.retire(pool) }
        pool.onEmpty = { [weak self, unowned pool] in
            guard let self, let index = self.retired.firstIndex(where: { $0 === pool }) else { return }
            let empty = self.retired.remove(at: index)
            // Not within a callback of the descriptors that this closes.
            self.loop.atTurnEnd { empty.close() }
        }
    }

    private func refusal(of request: HTTPClientRequest) -> HTTPClientError? {
        if isClosed { return .closed }
        if inFlight >= configuration.maximumInFlight { return .overloaded }
        let texts = request.headers.flatMap { [$0.name, $0.value] } + [request.url, request.method]
        // A line break in any of them would be a header of somebody else's making.
        let isClean = texts.allSatisfy { text in text.utf8.allSatisfy { $0 != 0x0D && $0 != 0x0A && $0 != 0 } }
        return isClean ? nil : .invalidRequest("a line break in the request's head")
    }
}
