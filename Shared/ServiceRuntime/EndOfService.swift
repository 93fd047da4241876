internal import EventLoop
internal import Glibc

/// Why a service comes to its end.
enum EndOfService: Sendable {
    case signal, failure
}

extension ServiceHost {
    /// SIGTERM and SIGINT end the service once; a second one ends the process there and then.
    func watchSignals() -> AsyncStream<EndOfService> {
        let (ended, end) = AsyncStream.makeStream(of: EndOfService.self)
        var signals = 0
        for number in [SIGTERM, SIGINT] {
            loop.onSignal(number) {
                signals += 1
                if signals > 1 { _exit(ServiceRuntime.Exit.failed) }
                end.yield(.signal)
            }
        }
        context.onFailure = { _ in end.yield(.failure) }
        return ended
    }
}
