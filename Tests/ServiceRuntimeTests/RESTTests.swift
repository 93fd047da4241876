import EventLoop
import Foundation
import ServiceRuntime
import Synchronization
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

@Suite(.blocking) struct RESTTests {
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
        // An absolute address, which answers.
        #expect(missing.contains("{\"type\":\"http://test/problems#not_found\","))
        let page = ask(port, "GET", "/problems")
        #expect(page.hasPrefix("HTTP/1.1 200 OK\r\n") && page.contains("<dt id=\"not_found\">"))
        #expect(ask(port, "BREW", "/v1/ticks").hasPrefix("HTTP/1.1 405 "))
        let wrong = ask(port, "DELETE", "/v1/ticks")
        #expect(wrong.hasPrefix("HTTP/1.1 405 ") && wrong.contains("Allow: GET\r\n"))

        #expect(ask(port, "PUT", "/v1/names/alice").contains("#api_key_invalid\""))
        #expect(ask(port, "PUT", "/v1/names/alice", headers: ["X-API-Key: 0123456789abcdeg"]).hasPrefix("HTTP/1.1 401 "))
        let key = "X-API-Key: 0123456789abcdef"
        #expect(ask(port, "PUT", "/v1/names/alice", headers: [key]).hasPrefix("HTTP/1.1 202 "))
        #expect(ask(port, "PUT", "/v1/names/nobody", headers: [key]).contains("#invalid_request\""))

        let good = token(subject: "alice", expires: now + 600)
        #expect(ask(port, "GET", "/v1/me", headers: ["Authorization: Bearer \(good)"]).hasSuffix("\"alice\""))
        #expect(ask(port, "GET", "/v1/me", headers: ["authorization: bearer \(good)"]).hasSuffix("\"alice\""))
        let old = ask(
            port, "GET", "/v1/me", headers: ["Authorization: Bearer \(token(subject: "alice", expires: EventLoop.wallClock() / 1000 - 40))"]
        )
        #expect(old.contains("#token_expired\"") && old.contains("expired 4") && old.contains("WWW-Authenticate: Bearer"))
        let long = ask(port, "GET", "/v1/me", headers: ["Authorization: Bearer \(token(subject: "alice", expires: now + 90_000))"])
        #expect(long.hasPrefix("HTTP/1.1 401 ") && long.contains("TOKEN_MAX_LIFETIME"))
        let wrongUnit = ask(port, "GET", "/v1/me", headers: ["Authorization: Bearer \(token(subject: "alice", expires: now * 1000))"])
        #expect(wrongUnit.contains("Exp is in milliseconds; it must be in seconds."))
        #expect(ask(port, "GET", "/v1/me").contains("#token_invalid\""))
        #expect(ask(port, "GET", "/v1/me", headers: ["Authorization: Basic \(good)"]).contains("#token_invalid\""))
        #expect(ask(port, "GET", "/v1/me", headers: ["Authorization: Bearer \(good)x"]).contains("signature"))

        let metrics = ask(await host.operationsPort, "GET", "/metrics")
        #expect(metrics.contains("{method=\"PUT\",route=\"/v1/names/{name}\",status=\"2xx\"} 1\n"))
        #expect(metrics.contains("{method=\"GET\",route=\"none\",status=\"4xx\"} 1\n"), "each under its own method")
        #expect(metrics.contains("{method=\"DELETE\",route=\"none\",status=\"4xx\"} 1\n"))
        #expect(metrics.contains("{method=\"other\",route=\"none\",status=\"4xx\"} 1\n") && !metrics.contains("BREW"))
        #expect(metrics.contains("carillon_refused_credentials_total{cause=\"lifetime\"} 1\n"))
        await host.drain()
        host.loop.stop()
    }

    @Test func wrongKeysAreSlowedDown() async throws {
        let host = try sampleHost(["API_KEY_FAILURES": "3"])
        try await host.start()
        let port = await host.port
        func put(_ key: String, from client: String = "192.0.2.1") -> String {
            ask(port, "PUT", "/v1/names/alice", headers: ["X-API-Key: \(key)", "X-Forwarded-For: \(client)"])
        }
        let right = "0123456789abcdef"
        for guess in 0..<3 { #expect(put("wrong-key-number-\(guess)").hasPrefix("HTTP/1.1 401 ")) }
        // The fourth within a minute, whichever it is.
        for key in ["wrong-key-number-4", right] {
            let answer = put(key)
            #expect(answer.hasPrefix("HTTP/1.1 429 ") && answer.contains("#too_many_wrong_keys\""))
            #expect(answer.contains("\r\nRetry-After: "))
        }
        #expect(ask(port, "PUT", "/v1/names/alice", headers: ["X-Forwarded-For: 192.0.2.1"]).hasPrefix("HTTP/1.1 401 "), "none is no guess")
        // Behind the same balancer, from another address; and from that one even beside many wrong ones.
        #expect(put(right, from: "192.0.2.2").hasPrefix("HTTP/1.1 202 "))
        for guess in 0..<10 { _ = put("wrong-key-number-\(guess)", from: "192.0.2.2") }
        #expect(put("wrong-key-number-9", from: "192.0.2.2").hasPrefix("HTTP/1.1 429 "))
        #expect(put(right, from: "192.0.2.2").hasPrefix("HTTP/1.1 202 "))
        let metrics = ask(await host.operationsPort, "GET", "/metrics")
        #expect(metrics.contains("carillon_refused_credentials_total{cause=\"api_key\"} 7\n"))
        #expect(metrics.contains("carillon_refused_credentials_total{cause=\"api_key_trials\"} 10\n"))
        await host.drain()
        host.loop.stop()
    }

    /// Who is not let in is told apart in the log, behind a proxy too; and a debug line tells of each request.
    @Test(arguments: ["false", "true"]) func whatTheLogSaysOfRequests(_ addresses: String) async throws {
        let lines = SharedLines()
        let host = try sampleHost(["LOG_LEVEL": "debug", "LOG_ADDRESSES": addresses], lines: lines)
        try await host.start()
        let port = await host.port
        _ = ask(port, "GET", "/v1/ticks?secret=1")
        _ = ask(port, "PUT", "/v1/names/alice")
        for client in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
            _ = ask(port, "GET", "/v1/me", headers: ["X-Forwarded-For: \(client)", "Authorization: Bearer x"])
        }
        let all = lines.lines.withLock { $0 }
        let requests = all.filter { $0.contains(" debug sample#sample-1 message=request method=") }
        #expect(requests.count == 5 && requests[0].contains(" method=GET route=/v1/ticks status=200 after="), "\(all)")
        #expect(
            requests[1].contains(" route=/v1/names/{name} status=401 ") && !all.contains { $0.contains("alice") || $0.contains("secret") })
        let refused = all.filter { $0.contains("a credential was refused") }.compactMap { $0.split(separator: "address=").last }
        #expect(refused.count == 4 && refused[1] == refused[3] && refused[1] != refused[2])
        #expect(refused.map { $0.hasPrefix("#") } == Array(repeating: addresses == "false", count: 4))
        #expect(addresses == "false" || refused == ["127.0.0.1\n", "192.0.2.1\n", "192.0.2.2\n", "192.0.2.1\n"])
        await host.drain()
        host.loop.stop()
    }

    @Test func operationsHaveAnAddressOfTheirOwn() async throws {
        let host = try sampleHost(["OPERATIONS_ADDRESS": "127.0.0.2"])
        try await host.start()
        #expect(ask(await host.port, "GET", "/v1/ticks").hasPrefix("HTTP/1.1 200 "))
        #expect(ask(await host.operationsPort, "GET", "/health/live") == "no connection")
        await host.drain()
        host.loop.stop()
    }

    @Test func pagesOfOtherOrigins() async throws {
        let host = try sampleHost(["ALLOWED_ORIGINS": "https://app.example"])
        try await host.start()
        let port = await host.port
        let (listed, other) = ("Origin: https://app.example", "Origin: https://app.example.evil")
        let allowed = "Access-Control-Allow-Origin: https://app.example\r\nAccess-Control-Allow-Credentials: true\r\n"
        for path in ["/v1/ticks", "/v1/me", "/v1/nothing"] {
            // What is refused can be read as well.
            let answer = ask(port, "GET", path, headers: [listed])
            #expect(answer.contains(allowed) && answer.contains("Vary: Origin\r\n"))
            let refused = ask(port, "GET", path, headers: [other])
            #expect(refused.hasPrefix("HTTP/1.1 403 ") && refused.contains("#origin_not_allowed\""))
            #expect(!refused.contains("Access-Control"))
            #expect(!ask(port, "GET", path).contains("Access-Control"))
        }
        let preflight = ask(port, "OPTIONS", "/v1/names/alice", headers: [listed, "Access-Control-Request-Method: PUT"])
        #expect(preflight.hasPrefix("HTTP/1.1 204 ") && preflight.contains(allowed))
        #expect(preflight.contains("Access-Control-Allow-Methods: PUT, OPTIONS\r\n"))
        #expect(preflight.contains("Access-Control-Allow-Headers: Authorization, Content-Type, If-Match, Last-Event-ID\r\n"))
        #expect(ask(port, "OPTIONS", "/v1/names/alice", headers: [other]).hasPrefix("HTTP/1.1 403 "))
        #expect(ask(port, "OPTIONS", "/v1/nothing", headers: [listed]).hasPrefix("HTTP/1.1 404 "))
        #expect(ask(port, "GET", "/v1/ticks", headers: ["Origin: http://test"]).hasPrefix("HTTP/1.1 200 "))
        let metrics = ask(await host.operationsPort, "GET", "/metrics", headers: [other])
        #expect(metrics.contains("carillon_refused_credentials_total{cause=\"origin\"} 4\n"))
        await host.drain()
        host.loop.stop()
    }

    @Test func keyFile() async throws {
        let path = "/tmp/carillon-jwks-\(UUID().uuidString).json"
        defer { unlink(path) }
        // Whole at once: half of it would be another that is refused.
        func replaceFile(_ text: String) {
            writeFile(path + ".new", text)
            rename(path + ".new", path)
        }
        func write(_ kid: String, _ secret: String) {
            replaceFile(#"{"keys":[{"kty":"oct","kid":"\#(kid)","k":"\#(base64url(Array(secret.utf8)))"}]}"#)
        }
        let (first, second) = ("first-secret-of-thirty-two-bytes-", "second-secret-of-thirty-two-bytes")
        let now = EventLoop.wallClock() / 1000
        func asked(_ port: Int?, _ kid: String, _ secret: String) -> String {
            let claims = #"{"sub":"alice","exp":\#(now + 600)}"#
            let input = [#"{"alg":"HS256","kid":"\#(kid)"}"#, claims].map { base64url(Array($0.utf8)) }.joined(separator: ".")
            let token = "\(input).\(base64url(HMACKey(Array(secret.utf8)).code(Array(input.utf8))))"
            return ask(port, "GET", "/v1/me", headers: ["Authorization: Bearer \(token)"])
        }
        let keyless = try sampleHost(["JWKS_FILE": "/nowhere/keys.json"])
        await #expect(throws: (any Error).self) { try await keyless.start() }
        keyless.loop.stop()
        write("one", first)
        let lines = SharedLines()
        let host = try sampleHost(["JWKS_FILE": path], lines: lines)
        try await host.start()
        let (port, operations) = (await host.port, await host.operationsPort)
        #expect(asked(port, "one", first).hasPrefix("HTTP/1.1 200 "))
        #expect(asked(port, "two", second).contains("kid names no key"))
        write("two", second)
        #expect(await soon { asked(port, "two", second).hasPrefix("HTTP/1.1 200 ") })
        #expect(asked(port, "one", first).contains("kid names no key"))
        // A key that cannot be used is told of, once, and takes no other away.
        let third = "third-secret-of-thirty-two-bytes-"
        let octets = { (text: String) in base64url(Array(text.utf8)) }
        replaceFile(
            #"{"keys":[{"kty":"oct","kid":"short","k":"AA"},{"kty":"oct","kid":"three","k":"\#(octets(third))"},"#
                + #"{"kty":"oct","kid":"two","k":"\#(octets(second))"}]}"#)
        #expect(await soon { asked(port, "three", third).hasPrefix("HTTP/1.1 200 ") })
        #expect(asked(port, "two", second).hasPrefix("HTTP/1.1 200 "))
        #expect(asked(port, "short", "").contains("kid names no key"))
        #expect(lines.all.count { $0.contains("is passed over") && $0.contains("key 0: its k is not a secret") } == 1)
        // What is no set of keys changes nothing.
        replaceFile("{")
        #expect(await soon { ask(operations, "GET", "/metrics").contains("carillon_key_file_reads_total{result=\"refused\"} 1\n") })
        #expect(asked(port, "two", second).hasPrefix("HTTP/1.1 200 "))
        let metrics = ask(operations, "GET", "/metrics")
        #expect(metrics.contains("carillon_key_file_reads_total{result=\"taken\"} 3\n"))
        #expect(!metrics.contains("carillon_refused_credentials_total{cause=\"unknown_key\"} 0\n"))
        await host.drain()
        host.loop.stop()
    }

    /// Whether it holds within a minute.
    private func soon(_ holds: () -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            if holds() { return true }
            try? await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    private func writeFile(_ path: String, _ text: String) {
        guard let file = fopen(path, "w") else { return }
        fputs(text, file)
        fclose(file)
    }

    /// A broker that is away at the start, or a group that has not settled, keeps it unready; one that goes later does not.
    @Test func readyWaitsForTheFirstAssignment() async throws {
        let host = try sampleHost(["SAMPLE_TICKS": "1"])
        let service = try await host.start()
        let port = await host.operationsPort
        #expect(ask(port, "GET", "/health/ready").hasPrefix("HTTP/1.1 200 "))
        await service.readKafka()
        #expect(ask(port, "GET", "/health/ready").hasPrefix("HTTP/1.1 503 "))
        await service.loseKafka()
        let away = ask(port, "GET", "/health/ready")
        #expect(away.hasPrefix("HTTP/1.1 503 ") && away.contains("\"ready\":false,\"draining\":false"))
        await service.joinGroup()
        #expect(ask(port, "GET", "/health/ready").hasPrefix("HTTP/1.1 200 "))
        await service.loseKafka()
        #expect(ask(port, "GET", "/health/ready").hasPrefix("HTTP/1.1 200 "))
        await host.drain()
        host.loop.stop()
    }

    @Test func operations() async throws {
        let host = try sampleHost(["SAMPLE_TICKS": "60", "DRAIN_TIMEOUT": "600s"])
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
        #expect(without.contains(",\"reason\":\""))

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
        while await !host.isDraining { try await Task.sleep(for: .milliseconds(1)) }
        answer = ask(port, "GET", "/health/ready")
        #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("\"ready\":false,\"draining\":true"))
        while await !service.endDrain() { try await Task.sleep(for: .milliseconds(1)) }
        #expect(await draining.value)
        host.loop.stop()
    }
}
