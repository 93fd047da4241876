import EventLoop
import Network

/// One connection while it speaks HTTP; gone once it is upgraded.
final class HTTPConnection: ByteStreamHandler {
    /// Milliseconds of the loop's clock; `.max` while an answer is being made.
    private(set) var deadline: UInt64

    private static let heldBytes = 16 * 1024
    /// The most bytes of answers that gather in one turn before the socket is asked whether the client reads at all.
    private static let unreadBytes = 64 * 1024

    private let server: HTTPServer
    let stream: ByteStream
    var tag: UInt32
    /// When the connection was accepted, or, for a request after the first, when its first bytes came; the loop's clock, ms.
    private(set) var began: UInt64
    let isTLS: Bool
    private var parser: HTTPRequestParser
    private var current: HTTPExchange?
    /// Bytes behind the request that is being answered: at most `heldBytes` and one receive buffer.
    private var held: [UInt8] = []
    private var isInCallback = false
    private var sentContinue = false
    private var isEnding = false
    private var successor: (any ByteStreamHandler)?

    init(server: HTTPServer, stream: ByteStream, tag: UInt32) {
        self.server = server
        self.tag = tag
        self.stream = stream
        isTLS = server.tls != nil
        parser = HTTPRequestParser(limits: server.limits)
        began = server.loop.now
        deadline = server.loop.now &+ server.limits.requestDeadline.wholeMilliseconds
    }

    func received(_ bytes: Span<UInt8>) {
        if isEnding { return }
        guard current == nil, !stream.isBlocked else { return hold(bytes, from: 0) }
        process(bytes)
    }

    func drained() {
        if current == nil, !isEnding { goOn() }
    }

    func closed(_ reason: StreamClosure) {
        isEnding = true
        let exchange = current
        current = nil
        server.onGone?(tag)
        if reason.isTLSFailure { server.onTLSFailure?() }
        server.remove(self)
        exchange?.connectionClosed()
    }

    private func hold(_ bytes: Span<UInt8>, from offset: Int) {
        for index in offset..<bytes.count { held.append(bytes[index]) }
        // Reading goes on until then: only by reading does a server notice that the client has gone.
        if held.count >= Self.heldBytes { stream.pauseReading() }
    }

    private func process(_ bytes: Span<UInt8>) {
        var offset = 0
        if began == 0 { began = server.loop.now }
        while offset < bytes.count, !isEnding {
            let wasIdle = parser.isIdle
            do {
                guard let request = try parser.next(bytes, at: &offset) else {
                    if wasIdle { deadline = server.loop.now &+ server.limits.requestDeadline.wholeMilliseconds }
                    return continueIfAwaited()
                }
                handle(request)
            } catch {
                return refuse(error)
            }
            if let successor {
                self.successor = nil
                if offset < bytes.count { successor.received(bytes.extracting(offset...)) }
                return
            }
            if current != nil || mustWait() { return hold(bytes, from: offset) }
        }
    }

    private func continueIfAwaited() {
        guard parser.awaitsContinue, !sentContinue else { return }
        sentContinue = true
        stream.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
    }

    private func handle(_ request: HTTPRequest) {
        sentContinue = false
        deadline = .max
        let exchange = HTTPExchange(connection: self, request: request)
        current = exchange
        isInCallback = true
        if request.path == ProblemPage.path, request.method == "GET" || request.method == "HEAD" {
            exchange.respond(ProblemPage.response)
        } else if let onRequest = server.onRequest {
            onRequest(request, exchange)
        } else {
            exchange.respond(.problem(status: 503, name: "unavailable", detail: "Nothing is served here yet."))
        }
        isInCallback = false
    }

    private func refuse(_ error: HTTPError) {
        server.onRefusal?(error)
        let response = HTTPResponse.problem(error).addressed(to: origin(for: parser.fieldsSoFar))
        stream.write(response.encodedHead(date: server.dateText(), keepsAlive: false), response.body)
        end()
    }

    /// What the client asked, or, where its fields name no host, this end of the connection. Empty once it is closed.
    func origin(for fields: HTTPFields) -> String {
        let asked = fields.origin(isTLS: isTLS)
        if !asked.isEmpty { return asked }
        return stream.localHost.map { (isTLS ? "https://" : "http://") + $0 } ?? ""
    }

    private func end() {
        isEnding = true
        deadline = .max  // From here on the stream closes by itself.
        held = []
        stream.closeAfterFlush()
    }

    // MARK: From the exchange

    func respond(_ response: HTTPResponse, to exchange: HTTPExchange) {
        guard current === exchange else { return }
        let keepsAlive = exchange.keepsAlive && !response.closes && !server.isDraining
        stream.write(
            response.encodedHead(
                date: server.dateText(), keepsAlive: keepsAlive, minorVersion: exchange.minorVersion))
        if !exchange.isHead { stream.write(response.body) }
        current = nil
        began = 0
        if !keepsAlive { return end() }
        deadline = server.loop.now &+ server.limits.idleDeadline.wholeMilliseconds
        if !isInCallback { goOn() }
    }

    /// Whether the client leaves its answers unread. It then gets no further answer until `drained` is called.
    private func mustWait() -> Bool {
        // Before the end of the turn the kernel has not been offered these bytes yet.
        if !stream.isBlocked, stream.queuedBytes > Self.unreadBytes { stream.flushNow() }
        return stream.isBlocked
    }

    private func goOn() {
        if mustWait() { return }
        let bytes = held
        held = []
        stream.resumeReading()
        if !bytes.isEmpty { process(bytes.span) }
    }

    func upgrade(_ exchange: HTTPExchange, answer: [UInt8], to handler: any ByteStreamHandler) -> Bool {
        guard current === exchange, !stream.isClosing else { return false }
        current = nil
        isEnding = true
        server.remove(self)
        stream.write(answer)
        stream.handler = handler
        if isInCallback {
            successor = handler
            return true
        }
        let bytes = held
        held = []
        stream.resumeReading()
        if !bytes.isEmpty { handler.received(bytes.span) }
        return true
    }

    // MARK: From the server

    func deadlinePassed() {
        if parser.isIdle {
            if !server.isDraining { server.onIdle?() }
            isEnding = true
            stream.close()
        } else {
            refuse(HTTPError(status: 408, name: "request_timeout", detail: "The request took too long to arrive."))
        }
    }

    func drain() {
        if current == nil { deadlinePassed() }
    }

    func close() { stream.close() }
}
