public import HTTP
public import Network
internal import Settings

extension ServiceContext {
    /// Listens on the service's address and port, and names the port as the service's. `onRequest` is the caller's to set.
    /// Throws where the port is taken or the address is not this machine's.
    public func serve(limits: HTTPLimits = HTTPLimits()) throws(NetworkError) -> HTTPServer {
        let listener = try Listener(loop: loop, address: process.listenAddress, port: process.port)
        listens(on: listener.port)
        return HTTPServer(loop: loop, listener: listener, limits: limits)
    }
}

extension HTTPServer {
    /// Takes nothing new and returns when what was under way has been answered.
    public func finish() async {
        await withCheckedContinuation { done in drain { done.resume() } }
    }
}

/// The system's text about a socket names addresses and nothing that came over it.
extension NetworkError: LogReason {
    public var logText: String { description }
}
