public import EventLoop
public import Network

/// Serves HTTP/1.1 on a listener. Loop thread only, as all of its exchanges.
///
/// Answers of one connection leave in the order of its requests: the next request is read once the last is answered.
/// One timer a server looks after all deadlines.
public final class HTTPServer {
    public let loop: EventLoop
    /// Called for each complete request; it must be answered or upgraded, now or later.
    public var onRequest: ((HTTPRequest, HTTPExchange) -> Void)?
    /// What new connections must speak; nil: plain text. Connections that are open keep what they have.
    public var tls: TLSContext?
    /// A connection ended because its peer spoke no TLS, or none that can be understood.
    public var onTLSFailure: (() -> Void)?
    /// Asked before a new connection is accepted; nil closes it without an answer. A client that is to be told why is refused
    /// in `onRequest`. The value is the `tag` of the connection from then on, by which its exchanges and `onGone` name it.
    public var admits: ((ByteStream) -> UInt32?)?
    /// A connection that was not upgraded is gone. The owner of an upgraded one is told of its end by the stream.
    public var onGone: ((_ tag: UInt32) -> Void)?
    /// A request was refused by the server itself: it could not be read, or did not arrive in time (408).
    public var onRefusal: ((HTTPError) -> Void)?
    /// A connection was closed because no request came on it.
    public var onIdle: (() -> Void)?
    /// Connections that speak HTTP now; upgraded ones do not count.
    public var connectionCount: Int { connections.count }

    let limits: HTTPLimits
    private let listener: Listener
    private var connections: [ObjectIdentifier: HTTPConnection] = [:]
    private var sweep: LoopTimer?
    private var date = HTTPDate()
    private var drained: (() -> Void)?
    private(set) var isDraining = false

    public init(loop: EventLoop, listener: Listener, limits: HTTPLimits = HTTPLimits()) {
        self.loop = loop
        self.listener = listener
        self.limits = limits
        listener.onAccept = { [weak self] stream in self?.accept(stream) }
        sweep = loop.timer(after: .seconds(1), every: .seconds(1)) { [weak self] in self?.checkDeadlines() }
    }

    public var port: Int { listener.port }

    private func accept(_ stream: ByteStream) {
        guard !isDraining else { return stream.close() }
        var tag: UInt32 = 0
        if let admits {
            guard let given = admits(stream) else { return stream.close() }
            tag = given
        }
        let connection = HTTPConnection(server: self, stream: stream, tag: tag)
        connections[ObjectIdentifier(connection)] = connection
        stream.handler = connection
        if let tls, !stream.startTLS(tls) { return stream.close() }
        stream.resumeReading()
    }

    /// Accepts no new connection, answers the requests under way, and closes idle connections. Calls `completion` when no
    /// connection is left.
    public func drain(_ completion: (() -> Void)? = nil) {
        loop.assertCurrent()
        isDraining = true
        drained = completion
        listener.close()
        for connection in connections.values { connection.drain() }
        finishDrain()
    }

    /// Closes everything at once.
    public func close() {
        loop.assertCurrent()
        isDraining = true
        listener.close()
        for connection in connections.values { connection.close() }
        sweep?.cancel()
        sweep = nil
    }

    func remove(_ connection: HTTPConnection) {
        connections[ObjectIdentifier(connection)] = nil
        finishDrain()
    }

    func dateText() -> String { date.text(at: EventLoop.wallClock()) }

    private func finishDrain() {
        guard isDraining, connections.isEmpty else { return }
        sweep?.cancel()
        sweep = nil
        let drained = drained
        self.drained = nil
        drained?()
    }

    private func checkDeadlines() {
        let now = loop.now
        for connection in connections.values where connection.deadline <= now { connection.deadlinePassed() }
    }
}
