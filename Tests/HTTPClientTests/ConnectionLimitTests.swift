import EventLoop
import Glibc
import Testing

@testable import HTTPClient

/// Takes connections, and answers one request and no other.
private final class Server {
    let port: UInt16
    private let descriptor: Int32
    private var taken: [Int32] = []

    init?() {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let failed = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) != 0 || listen(descriptor, 16) != 0 || getsockname(descriptor, $0, &length) != 0
            }
        }
        self.descriptor = descriptor
        port = UInt16(bigEndian: address.sin_port)
        if failed { return nil }
    }

    deinit { for descriptor in taken + [descriptor] { close(descriptor) } }

    /// Connections that have come.
    func connections() -> Int {
        while true {
            let one = accept(descriptor, nil, nil)
            if one < 0 { return taken.count }
            taken.append(one)
        }
    }

    /// Answers the first request, if it is there.
    func answersFirst() -> Bool {
        guard connections() > 0 else { return false }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        guard recv(taken[0], &bytes, bytes.count, Int32(MSG_DONTWAIT)) > 0 else { return false }
        let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)
        return send(taken[0], answer, answer.count, Int32(MSG_NOSIGNAL)) == answer.count
    }
}

@Suite(.timeLimit(.minutes(5))) struct ConnectionLimitTests {
    /// HTTP/1.1 carries one request a connection: beyond `maximumConnections` they wait for one.
    @Test func requestsBeyondTheConnectionsWait() async throws {
        let server = try #require(Server())
        let loop = EventLoop(name: "http-test")
        loop.start()
        let url = "http://127.0.0.1:\(server.port)/"
        async let ended = withCheckedContinuation { (continuation: CheckedContinuation<Int, Never>) in
            loop.post {
                var configuration = HTTPClientConfiguration()
                configuration.maximumConnections = 2
                let client = HTTPClient(loop: loop, configuration: configuration)
                // The first answer tells the client that no request shares a connection here.
                client.send(HTTPClientRequest(url: url, timeout: .seconds(60))) { _ in
                    var ended = 0
                    for _ in 0..<5 {
                        client.send(HTTPClientRequest(url: url, timeout: .seconds(60))) { _ in
                            ended += 1
                            if ended == 5 { continuation.resume(returning: ended) }
                        }
                    }
                    // What is under way then ends at once; before, there is time for a third connection.
                    loop.timer(after: .seconds(1)) { client.close() }
                }
            }
        }
        var isAnswered = false
        while !isAnswered {
            isAnswered = server.answersFirst()
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(await ended == 5)
        #expect(server.connections() == 2)
        loop.stop()
    }
}
