public import Network

/// One request's answer, to be given now or later, once. Loop thread only.
public final class HTTPExchange {
    private var connection: HTTPConnection?
    let isHead: Bool
    let keepsAlive: Bool
    let minorVersion: Int
    /// Called if the client goes before it is answered; to stop work that nobody waits for.
    public var onClose: (() -> Void)?
    /// Fields that are added to every answer, but not to an upgrade, whose head is complete already.
    public var addedHeaders: [(name: String, value: String)] = []

    private let origin: String

    init(connection: HTTPConnection, request: HTTPRequest) {
        self.connection = connection
        origin = connection.origin(for: request.fields)
        isHead = request.method == "HEAD"
        keepsAlive = request.keepsAlive
        minorVersion = request.minorVersion
    }

    /// Whether it is answered already, or the client has gone.
    public var isClosed: Bool { connection == nil }

    /// The stream under it, for the handler that `upgrade` will name; nil once closed.
    public var stream: ByteStream? { connection?.stream }

    /// The name of the connection in `HTTPServer.onGone`. At first it is what `admits` returned. Nil once closed.
    public var tag: UInt32? {
        get { connection?.tag }
        set { connection?.tag = newValue ?? 0 }
    }

    /// When its connection was accepted, or, on one that carries several requests, when this one's first bytes came: ms of
    /// the loop's clock. 0 once closed.
    public var began: UInt64 { connection?.began ?? 0 }

    /// Answers. After the first answer, or when the client has gone, it does nothing.
    public func respond(_ response: HTTPResponse) {
        guard let connection else { return }
        finish()
        var response = response.addressed(to: origin)
        response.headers += addedHeaders
        connection.respond(response, to: self)
    }

    /// Writes `answer` (a whole head, ending in an empty line) and gives the stream to `handler`, with the bytes that came
    /// behind the request: at once if the request was answered later, else when the request's callback has returned.
    /// False if the client has gone; then `handler` is never called.
    @discardableResult
    public func upgrade(_ answer: [UInt8], to handler: any ByteStreamHandler) -> Bool {
        guard let connection else { return false }
        finish()
        return connection.upgrade(self, answer: answer, to: handler)
    }

    private func finish() {
        connection = nil
        onClose = nil
    }

    func connectionClosed() {
        let onClose = onClose
        finish()
        onClose?()
    }
}
