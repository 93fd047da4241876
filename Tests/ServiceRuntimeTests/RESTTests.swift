import EventLoop
import ServiceRuntime
import TestSupport
import Testing
import Tokens

/// One request on a connection of its own; the whole answer, head and body.
func ask(_ port: Int?, _ method: String, _ path: String, headers: [String] = []) -> String {
    guard let port, let socket = RawSocket(port: port) else { return "no connection" }
    let fields = (["Host: test", "Connection: close"] + headers).map { $0 + "\r\n" }.joined()
    socket.send("\(method) \(path) HTTP/1.1\r\n\(fields)\r\n")
    while socket.fill() {}
    return String(decoding: socket.buffer, as: UTF8.self)
}

@Suite struct RESTTests {
    private let secret = "01234567890123456789012345678901"

    private func token(subject: String, expires: Int64) -> String {
        mintHS256(TokenClaims(subject: subject, expires: expires), secret: secret)
    }

    @Test func routesAndCredentials() async throws {
        let host = try sampleHost()
        try await host.start()
        let port = await host.port
        let now = EventLoop.wallClock() / 1000

        #expect(ask(port, "GET", "/v1/ticks").hasPrefix("HTTP/1.1 200 OK\r\n"))
        let missing = ask(port, "GET", "/v1/nothing")
        #expect(missing.hasPrefix("HTTP/1.1 404 ") && missing.contains("application/problem+json"))
        #expect(missing.contains("#not_found\""))
        let wrong = ask(port, "DELETE", "/v1/ticks")
        #expect(wrong.hasPrefix("HTTP/1.1 405 ") && wrong.contains("Allow: GET\r\n"))

        #expect(ask(port, "PUT", "/v1/names/alice").contains("#api_key_invalid\""))
        #expect(ask(port, "PUT", "/v1/names/alice", headers: ["X-API-Key: 0123456789abcdeg"]).hasPrefix("HTTP/1.1 401 "))
        let key = "X-API-Key: 0123456789abcdef"
        #expect(ask(port, "PUT", "/v1/names/alice", headers: [key]).hasPrefix("HTTP/1.1 202 "))
        #expect(ask(port, "PUT", "/v1/names/nobody", headers: [key]).contains("#invalid_request\""))

        let good = token(subject: "alice", expires: now + 60)
        #expect(ask(port, "GET", "/v1/me", headers: ["Authorization: Bearer \(good)"]).hasSuffix("\"alice\""))
        #expect(ask(port, "GET", "/v1/me", headers: ["authorization: bearer \(good)"]).hasSuffix("\"alice\""))
        let old = ask(port, "GET", "/v1/me", headers: ["Authorization: Bearer \(token(subject: "alice", expires: now - 40))"])
        #expect(old.contains("#token_expired\"") && old.contains("expired 4") && old.contains("WWW-Authenticate: Bearer"))
        #expect(ask(port, "GET", "/v1/me").contains("#token_invalid\""))
        #expect(ask(port, "GET", "/v1/me", headers: ["Authorization: Basic \(good)"]).contains("#token_invalid\""))
        #expect(ask(port, "GET", "/v1/me", headers: ["Authorization: Bearer \(good)x"]).contains("signature"))

        let metrics = ask(await host.operationsPort, "GET", "/metrics")
        #expect(metrics.contains("{method=\"PUT\",route=\"/v1/names/{name}\",status=\"2xx\"} 1\n"))
        #expect(metrics.contains("{method=\"GET\",route=\"none\",status=\"4xx\"} 2\n"))
        await host.drain()
        host.loop.stop()
    }

    @Test func operations() async throws {
        let host = try sampleHost(["SAMPLE_TICKS": "60", "DRAIN_TIMEOUT": "300ms"])
        let service = try await host.start()
        let port = await host.operationsPort
        #expect(ask(port, "GET", "/health/live").hasPrefix("HTTP/1.1 200 "))
        #expect(ask(port, "GET", "/health/ready").contains("\"dependencies\":{\"redis\":{\"up\":false}}"))
        await service.findRedis()
        let ready = ask(port, "GET", "/health/ready")
        #expect(ready.hasPrefix("HTTP/1.1 200 ") && ready.contains("\"ready\":true,\"draining\":false"))
        #expect(ready.contains("\"instance\":\"sample-1#") && ready.contains("{\"redis\":{\"up\":true}}"))
        await service.loseRedis()
        let without = ask(port, "GET", "/health/ready")
        #expect(without.hasPrefix("HTTP/1.1 200 ") && without.contains("\"redis\":{\"up\":false,\"since\":\"20"))

        let metrics = ask(port, "GET", "/metrics")
        #expect(metrics.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        for name in [
            "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
            "carillon_loop_lag_seconds_count", "carillon_build_info{version=", "carillon_dependency_up{dependency=\"redis\"} 0",
        ] {
            #expect(metrics.contains("\n\(name)"), "\(name) is missing")
        }

        let draining = Task { await host.drain() }
        var answer = ""
        while await !host.isDraining { await Task.yield() }
        answer = ask(port, "GET", "/health/ready")
        #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("\"ready\":false,\"draining\":true"))
        #expect(await draining.value == false)
        host.loop.stop()
    }
}
