internal import EventLoop
internal import Glibc
public import Network

extension ServiceContext {
    /// Calls `body` whenever the operator asks for files to be read again (SIGHUP). On the home loop; so is the call. A service
    /// that never called this ends by that signal.
    public func onReload(_ body: @escaping () -> Void) { loop.onSignal(SIGHUP, body) }
}

/// OpenSSL's reasons name the operator's files and nothing that came over a connection.
extension TLSError: LogReason {
    public var logText: String { description }
}
