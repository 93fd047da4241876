import EventLoop
import Network
import TestSupport
import Testing

@testable import HTTP

/// Echoes what it gets, after an upgrade.
private final class Echo: ByteStreamHandler {
    let stream: ByteStream
    init(_ stream: ByteStream) { self.stream = stream }
    func received(_ bytes: Span<UInt8>) {
        var copy: [UInt8] = []
        for index in bytes.indices { copy.append(bytes[index]) }
        stream.write(copy)
    }
    func drained() {}
    func closed(_ reason: StreamClosure) {}
}

private actor Site: LoopActor {
    nonisolated let loop: EventLoop
    private var server: HTTPServer?
    private var waiting: [HTTPExchange] = []
    private(set) var goneClients = 0
    private(set) var served = 0

    init() {
        loop = EventLoop(name: "http")
        loop.start()
    }

    func start(_ limits: HTTPLimits = HTTPLimits()) throws -> Int {
        let listener = try Listener(loop: loop, address: "127.0.0.1", port: 0)
        let server = HTTPServer(loop: loop, listener: listener, limits: limits)
        self.server = server
        server.onRequest = { request, exchange in self.serve(request, exchange) }
        return server.port
    }

    private func serve(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        served += 1
        switch request.path {
        case "/big": exchange.respond(HTTPResponse(status: 200, body: [UInt8](repeating: 0x62, count: 400_000)))
        case "/late":
            exchange.onClose = { self.goneClients += 1 }
            waiting.append(exchange)
        case "/up", "/up-late":
            guard let stream = exchange.stream else { return }
            let answer = {
                _ = exchange.upgrade(Array("HTTP/1.1 101 Switching Protocols\r\n\r\n".utf8), to: Echo(stream))
            }
            if request.path == "/up" { answer() } else { loop.timer(after: .milliseconds(5), answer) }
        default: exchange.respond(HTTPResponse(status: 200, body: Array("\(request.path) ".utf8) + request.body))
        }
    }

    func answerLate() -> Int {
        let count = waiting.count
        for exchange in waiting { exchange.respond(HTTPResponse(status: 200, body: Array("late".utf8))) }
        waiting = []
        return count
    }

    var connections: Int { server?.connectionCount ?? 0 }

    func drain() async {
        await withCheckedContinuation { done in server?.drain { done.resume() } }
    }

    func stop() {
        server?.close()
        loop.stop()
    }
}

private func eventually(_ condition: () async -> Bool) async -> Bool {
    for _ in 0..<2_000 {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}

@Suite(.blocking, .timeLimit(.minutes(10))) struct HTTPServerTests {
    @Test func answersInOrderAndKeepsTheConnection() async throws {
        let site = Site()
        let client = try #require(RawSocket(port: try await site.start()))
        client.send(
            "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /late HTTP/1.1\r\nHost: x\r\n\r\n"
                + "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiHEAD /c HTTP/1.1\r\nHost: x\r\n\r\n"
                + "GET /d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(client.take(through: "/a ")?.contains("200 OK") == true)
        #expect(await eventually { await site.answerLate() == 1 })
        let rest = client.takeAll()
        let bodies = rest.components(of: "HTTP/1.1 200 OK")
        #expect(bodies.count == 4)
        #expect(bodies[0].hasSuffix("late"))
        #expect(bodies[1].hasSuffix("/b hi"))
        #expect(bodies[2].contains("Content-Length: 3") && bodies[2].hasSuffix("\r\n\r\n"))
        #expect(bodies[3].hasSuffix("/d ") && bodies[3].contains("Connection: close"))
        await site.stop()
    }

    @Test(arguments: ["/up", "/up-late"]) func upgradeHandsOverWhatWasRead(_ path: String) async throws {
        let site = Site()
        let client = try #require(RawSocket(port: try await site.start()))
        client.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\nfirst")
        #expect(client.take(through: "first") == "HTTP/1.1 101 Switching Protocols\r\n\r\nfirst")
        client.send("second")
        #expect(client.take(through: "second") == "second")
        #expect(await site.connections == 0)
        await site.stop()
    }

    /// What cannot be read, or does not arrive, is told like all else: the type is an address, under the host that was asked, if that
    /// was understood already, else under the one that was connected to.
    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: example.test:81\r\nno colon\r\n\r\n", "http://example.test:81", "malformed_request", 400),
        (
            "GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nHost: example.test\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n",
            "https://example.test", "expectation_failed", 417
        ),
        ("not a request\r\n\r\n", nil, "malformed_request", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\nno colon\r\n\r\n", nil, "malformed_request", 400),
        ("GET / HTTP/9.0\r\n", nil, "version_not_supported", 505),
        ("GET / HTTP/1.1\r\nHost: example.test\r\n", "http://example.test", "request_timeout", 408),
        ("GET / HTTP/1.1\r\n", nil, "request_timeout", 408),
    ])
    func aRefusalsTypeIsAnAddress(_ request: String, _ origin: String?, _ name: String, _ status: Int) async throws {
        let site = Site()
        var limits = HTTPLimits()
        if status == 408 { limits.requestDeadline = .milliseconds(200) }
        let port = try await site.start(limits)
        let client = try #require(RawSocket(port: port))
        client.send(request)
        let answer = client.takeAll()
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        #expect(answer.contains("{\"type\":\"\(origin ?? "http://127.0.0.1:\(port)")/problems#\(name)\","), "\(answer)")
        await site.stop()
    }

    @Test func aRequestLineOf100KBGetsItsAnswer() async throws {
        let site = Site()
        let client = try #require(RawSocket(port: try await site.start()))
        client.send("GET /" + String(repeating: "a", count: 100_000) + " HTTP/1.1\r\nHost: x\r\n\r\n")
        let answer = client.takeAll()
        #expect(answer.hasPrefix("HTTP/1.1 414 URI Too Long\r\n"))
        #expect(answer.contains("#request_line_too_long"))
        await site.stop()
    }

    @Test func continueComesOnceAndBeforeTheContent() async throws {
        let site = Site()
        let client = try #require(RawSocket(port: try await site.start()))
        client.send("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        #expect(client.take(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
        client.send("o")
        client.send("k")
        #expect(client.take(through: "/e ok")?.hasPrefix("HTTP/1.1 200") == true)
        await site.stop()
    }

    @Test func aSlowRequestIsTimedOutAndAnIdleConnectionClosed() async throws {
        let site = Site()
        var limits = HTTPLimits()
        limits.requestDeadline = .seconds(2)
        limits.idleDeadline = .seconds(2)
        let port = try await site.start(limits)
        func answer(to request: String) throws -> String {
            while true {
                let socket = try #require(RawSocket(port: port))
                socket.send(request)
                let all = socket.takeAll()
                // None came in time if this machine stood still meanwhile: closed without a word.
                if !all.isEmpty { return all }
            }
        }
        #expect(try answer(to: "GET / HT").hasPrefix("HTTP/1.1 408"))
        let silent = try #require(RawSocket(port: port))
        #expect(silent.takeAll() == "")
        #expect(try answer(to: "GET / HTTP/1.1\r\nHost: x\r\n\r\n").hasPrefix("HTTP/1.1 200"))
        #expect(await eventually { await site.connections == 0 })
        await site.stop()
    }

    @Test func aClientThatGoesIsTold() async throws {
        let site = Site()
        let client = try #require(RawSocket(port: try await site.start()))
        client.send("GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(await eventually { await site.connections == 1 })
        client.close()
        #expect(await eventually { await site.goneClients == 1 })
        await site.stop()
    }

    @Test func whoReadsNoAnswersIsAnsweredNoFurther() async throws {
        let site = Site()
        let socket = try #require(RawSocket(port: try await site.start(), receiveBuffer: 4_096))
        let count = 60
        socket.send(String(repeating: "GET /big HTTP/1.1\r\nHost: x\r\n\r\n", count: count))
        var last = -1
        while await site.served != last {
            last = await site.served
            try await Task.sleep(for: .milliseconds(300))
        }
        #expect(last < count / 2, "some fill the socket's buffers, and no more")
        // And goes on once she does: all answers, in whole.
        for _ in 0..<count {
            #expect(socket.take(through: "\r\n\r\n")?.contains("Content-Length: 400000") == true)
            #expect(socket.take(400_000)?.count == 400_000)
        }
        #expect(await site.served == count)
        await site.stop()
    }

    @Test func drainAnswersWhatIsUnderWay() async throws {
        let site = Site()
        let port = try await site.start()
        let idle = try #require(RawSocket(port: port))
        idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(idle.take(through: "/ ") != nil)
        let busy = try #require(RawSocket(port: port))
        busy.send("GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(await eventually { await site.served == 2 })
        async let drained: Void = site.drain()
        // Not by a read that holds a thread of which the drain may need one to begin.
        #expect(await eventually { !idle.fill(milliseconds: 10) && idle.isEnded })
        #expect(idle.buffer.isEmpty)
        _ = await eventually { await site.answerLate() == 1 }
        let answer = busy.takeAll()
        #expect(answer.hasSuffix("late") && answer.contains("Connection: close"))
        await drained
        // A program that another test is just starting holds a copy of the listener for a moment.
        #expect(await eventually { RawSocket(port: port) == nil })
        await site.stop()
    }
}

extension String {
    func components(of separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            rest = rest[range.upperBound...]
            parts.append(String(rest[..<(rest.firstRange(of: separator)?.lowerBound ?? rest.endIndex)]))
        }
        return parts
    }
}
