internal import CUV
public import EventLoop

extension ByteStream {
    /// Opens a connection: resolves the name, then tries each address in turn.
    /// - Parameters:
    ///   - host: a name or a numeric address.
    ///   - timeout: for all of it together.
    ///   - completion: on the loop, exactly once, never within this call.
    public static func connect(
        loop: EventLoop, host: String, port: Int, timeout: Duration,
        completion: @escaping (Result<ByteStream, NetworkError>) -> Void
    ) {
        loop.assertCurrent()
        Connector(loop: loop, host: host, port: port, completion: completion).start(timeout: timeout)
    }
}

/// One attempt to connect. The callbacks that it waits for keep it alive.
private final class Connector {
    private let loop: EventLoop
    private let host: String
    private let port: Int
    private var completion: ((Result<ByteStream, NetworkError>) -> Void)?
    private var deadline: LoopTimer?
    private var addresses: UnsafeMutablePointer<addrinfo>?
    private var next: UnsafeMutablePointer<addrinfo>?
    private var stream: ByteStream?
    private var lastFailure = UV_ECONNREFUSED.rawValue

    init(loop: EventLoop, host: String, port: Int, completion: @escaping (Result<ByteStream, NetworkError>) -> Void) {
        self.loop = loop
        self.host = host
        self.port = port
        self.completion = completion
    }

    deinit {
        if let addresses { uv_freeaddrinfo(addresses) }
    }

    func start(timeout: Duration) {
        deadline = loop.timer(after: timeout) { self.finish(.failure(self.error(UV_ETIMEDOUT.rawValue))) }
        let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
        // Retained until the callback, which libuv always calls once.
        request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        var hints = addrinfo()
        hints.ai_socktype = 1  // SOCK_STREAM, which Glibc's overlay types as an enumeration
        let status = uv_getaddrinfo(
            loop.raw, request,
            { request, status, addresses in
                let me = Unmanaged<Connector>.fromOpaque(request!.pointee.data).takeRetainedValue()
                request!.deallocate()
                me.resolved(status, addresses)
            }, host, String(port), &hints)
        guard status != 0 else { return }
        Unmanaged<Connector>.fromOpaque(request.pointee.data).release()
        request.deallocate()
        loop.atTurnEnd { self.finish(.failure(self.error(status))) }
    }

    private func resolved(_ status: Int32, _ addresses: UnsafeMutablePointer<addrinfo>?) {
        self.addresses = addresses
        guard completion != nil else { return }
        guard status == 0 else { return finish(.failure(error(status))) }
        next = addresses
        tryNext()
    }

    private func tryNext() {
        guard let address = next else { return finish(.failure(error(lastFailure))) }
        next = address.pointee.ai_next
        let stream = ByteStream(loop: loop)
        self.stream = stream
        let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
        // Retained until the callback, which libuv calls once, at the latest when the stream closes.
        request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        let status = uv_tcp_connect(request, stream.tcp, address.pointee.ai_addr) { request, status in
            let me = Unmanaged<Connector>.fromOpaque(request!.pointee.data).takeRetainedValue()
            request!.deallocate()
            me.connected(status)
        }
        guard status != 0 else { return }
        Unmanaged<Connector>.fromOpaque(request.pointee.data).release()
        request.deallocate()
        connected(status)
    }

    private func connected(_ status: Int32) {
        guard completion != nil, let stream else { return }
        guard status == 0 else {
            lastFailure = status
            stream.close()
            return tryNext()
        }
        stream.configure()
        self.stream = nil
        finish(.success(stream))
    }

    private func finish(_ result: Result<ByteStream, NetworkError>) {
        deadline?.cancel()
        deadline = nil
        stream?.close()
        stream = nil
        let completion = completion
        self.completion = nil
        completion?(result)
    }

    private func error(_ code: Int32) -> NetworkError { NetworkError("connect to \(host):\(port)", code: code) }
}
