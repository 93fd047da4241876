internal import EventLoop
internal import Network

/// One question to a member: does it work? Loop thread only. It lives in the stream that it watches.
final class Check: ByteStreamHandler {
    private let expected: (Span<UInt8>) -> Bool
    private var completion: ((Bool) -> Void)?
    private var stream: ByteStream?

    private init(expected: @escaping (Span<UInt8>) -> Bool, completion: @escaping (Bool) -> Void) {
        self.expected = expected
        self.completion = completion
    }

    /// Asks once; `completion` comes exactly once, within `timeout` for the connection and as long again for the answer.
    static func ask(
        _ port: Int, loop: EventLoop, timeout: Duration, question: [UInt8], expected: @escaping (Span<UInt8>) -> Bool,
        completion: @escaping (Bool) -> Void
    ) {
        ByteStream.connect(loop: loop, host: ClusterPlan.host, port: port, timeout: timeout) { result in
            guard case .success(let stream) = result else { return completion(false) }
            let check = Check(expected: expected, completion: completion)
            check.stream = stream
            stream.handler = check
            stream.resumeReading()
            stream.write(question)
            loop.timer(after: timeout) { check.finish(false) }
        }
    }

    func received(_ bytes: Span<UInt8>) { finish(expected(bytes)) }
    func drained() {}
    func closed(_ reason: StreamClosure) {
        stream = nil
        finish(false)
    }

    private func finish(_ works: Bool) {
        stream?.close()
        stream = nil
        let completion = completion
        self.completion = nil
        completion?(works)
    }
}

extension Probe {
    /// Asks once; `completion` comes exactly once, on the loop.
    func ask(loop: EventLoop, timeout: Duration = .seconds(2), completion: @escaping (Bool) -> Void) {
        switch self {
        case .file(let path):
            completion(Files.read(path)?.isEmpty == false)
        case .redis(let port):
            Check.ask(
                port, loop: loop, timeout: timeout, question: Array("PING\r\n".utf8), expected: { starts($0, with: "+PONG") },
                completion: completion)
        case .http(let port, let path):
            let request = "GET \(path) HTTP/1.1\r\nHost: \(ClusterPlan.host):\(port)\r\nConnection: close\r\n\r\n"
            Check.ask(
                port, loop: loop, timeout: timeout, question: Array(request.utf8),
                expected: { starts($0, with: "HTTP/1.1 200") || starts($0, with: "HTTP/1.0 200") }, completion: completion)
        case .kafka(let port):
            // ApiVersions (key 18) version 0: correlation 1, no client id. A broker answers it once it serves requests.
            let request: [UInt8] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF]
            Check.ask(
                port, loop: loop, timeout: timeout, question: request, expected: { $0.count >= 10 && $0[7] == 1 && $0[9] == 0 },
                completion: completion)
        }
    }
}

private func starts(_ bytes: Span<UInt8>, with text: StaticString) -> Bool {
    let expected = Array(text.description.utf8)
    guard bytes.count >= expected.count else { return false }
    return expected.indices.allSatisfy { bytes[$0] == expected[$0] }
}
