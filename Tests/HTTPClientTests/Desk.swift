import EventLoop
import HTTPClient

/// The client on a loop of its own, spoken to with `await`.
actor Desk: LoopActor {
    nonisolated let loop: EventLoop
    private var client: HTTPClient?

    init() {
        loop = EventLoop(name: "http-test")
        loop.start()
    }

    deinit { loop.stop() }

    func open(_ configuration: HTTPClientConfiguration) { client = HTTPClient(loop: loop, configuration: configuration) }

    func send(_ request: HTTPClientRequest) async -> Result<HTTPClientResponse, HTTPClientError> {
        await withCheckedContinuation { continuation in
            guard let client else { return continuation.resume(returning: .failure(.closed)) }
            client.send(request) { continuation.resume(returning: $0) }
        }
    }

    /// Sends, and answers at once with a stream that brings the one result.
    func begin(_ request: HTTPClientRequest) -> AsyncStream<Result<HTTPClientResponse, HTTPClientError>> {
        let (results, result) = AsyncStream.makeStream(of: Result<HTTPClientResponse, HTTPClientError>.self)
        client?.send(request) {
            result.yield($0)
            result.finish()
        }
        return results
    }

    /// Sends all in one turn; answers when all have ended.
    func sendAll(_ requests: [HTTPClientRequest]) async -> [Result<HTTPClientResponse, HTTPClientError>] {
        await withCheckedContinuation { continuation in
            var results: [Result<HTTPClientResponse, HTTPClientError>] = []
            for request in requests {
                client?.send(request) {
                    results.append($0)
                    if results.count == requests.count { continuation.resume(returning: results) }
                }
            }
        }
    }

    var inFlight: Int { client?.inFlight ?? 0 }

    func close() {
        client?.close()
        client = nil
    }
}
