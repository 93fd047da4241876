import EventLoop
import Network
import Synchronization
import Testing

@testable import Carillonctl

/// An edge that plays one script a connection: what it writes, after which it closes.
final class ScriptedEdge: @unchecked Sendable {
    // @unchecked: all but `requests` is touched on the loop alone, after `init`.
    let loop = EventLoop(name: "edge")
    let requests = Mutex<[String]>([])
    private(set) var port = 0
    private var listener: Listener?
    private var scripts: [String]
    /// Whether a connection stays open behind its script, as one that may carry a further request.
    private let keepsOpen: Bool

    private final class Session: ByteStreamHandler {
        let stream: ByteStream
        let script: String
        let edge: ScriptedEdge

        init(_ stream: ByteStream, _ script: String, _ edge: ScriptedEdge) {
            self.stream = stream
            self.script = script
            self.edge = edge
        }

        func received(_ bytes: Span<UInt8>) {
            var copy: [UInt8] = []
            for index in bytes.indices { copy.append(bytes[index]) }
            edge.requests.withLock { $0.append(String(decoding: copy, as: UTF8.self)) }
            stream.write(Array(script.utf8))
            if !edge.keepsOpen { stream.closeAfterFlush() }
        }
        func drained() {}
        func closed(_ reason: StreamClosure) {}
    }

    init(_ scripts: [String], keepsOpen: Bool = false) async throws {
        self.keepsOpen = keepsOpen
        self.scripts = scripts
        loop.start()
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            loop.post {
                do {
                    let listener = try Listener(loop: self.loop, address: "127.0.0.1", port: 0)
                    listener.onAccept = { stream in
                        stream.handler = Session(stream, self.scripts.isEmpty ? "" : self.scripts.removeFirst(), self)
                        stream.resumeReading()
                    }
                    self.listener = listener
                    self.port = listener.port
                    done.resume()
                } catch { done.resume(throwing: error) }
            }
        }
    }
}

@Suite struct TailTests {
    private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

    @Test func resumesWhereItWasCutOff() async throws {
        let edge = try await ScriptedEdge([
            Self.head + "retry: 5\nid: 1.7-0\nevent: connected\ndata: {\"recovered\":false,\"unread\":2}\n\n"
                + "id: 1.7-1\ndata: {\"type\":\"a.b\",\"title\":\"One\"}\n\nid: 1.7-2\ndata: {\"ti",
            Self.head + "retry: 5\n\n",
            Self.head + "id: 1.7-1\nevent: connected\ndata: {\"recovered\":true,\"unread\":2}\n\n"
                + ": still here\n\nid: 1.7-2\ndata: {\"type\":\"a.b\",\"title\":\"Two\",\"body\":\"Text\"}\n\n",
        ])
        defer { edge.loop.stop() }
        let (status, written) = await carillonctl(
            "tail", "--user", "alice", "--count", "2",
            environment: ["EDGE_URL": "http://127.0.0.1:\(edge.port)", "TOKEN_SECRET": secret])
        #expect(status == 0, "\(written.error)")
        #expect(written.lines.map { $0.split(separator: "  ").dropFirst().joined(separator: " ") } == ["a.b One", "a.b Two: Text"])
        #expect(written.error.contains("2 unread\n") && written.error.contains("2 unread, resumed\n"))
        let requests = edge.requests.withLock { $0 }
        #expect(requests.count == 3)
        #expect(requests[0].hasPrefix("GET /connection/sse HTTP/1.1\r\n") && !requests[0].contains("Last-Event-ID"))
        #expect(requests[1].contains("Last-Event-ID: 1.7-1\r\n") && requests[2].contains("Last-Event-ID: 1.7-1\r\n"))
        #expect(requests[0].contains("Authorization: Bearer ey"))
    }

    /// While no gateway is there, the edge answers how long to wait, and keeps the connection: nothing more comes on it.
    @Test(arguments: [
        "Content-Length: 10\r\n\r\nretry: 5\n\n", "Transfer-Encoding: chunked\r\n\r\na\r\nretry: 5\n\n\r\n0\r\n\r\n",
        "Content-Length: 0\r\n\r\n",
    ])
    func anAnswerThatEndsIsNotWaitedFor(_ answer: String) async throws {
        let type = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        let event = Self.head + "id: 1.7-1\ndata: {\"type\":\"a.b\",\"title\":\"One\"}\n\n"
        let edge = try await ScriptedEdge([type + answer, event], keepsOpen: true)
        defer { edge.loop.stop() }
        let (status, written) = await carillonctl(
            "tail", "--user", "alice", "--count", "1",
            environment: ["EDGE_URL": "http://127.0.0.1:\(edge.port)", "TOKEN_SECRET": secret])
        #expect(status == 0 && written.lines.count == 1)
        #expect(written.error.contains("the stream ended; again in ") && !written.error.contains("silent"), "\(written.error)")
    }

    @Test func refusalEndsItWithTheServersWords() async throws {
        let body = "{\"type\":\"#token_expired\",\"detail\":\"The token expired 40 s ago.\"}"
        let edge = try await ScriptedEdge([
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body
        ])
        defer { edge.loop.stop() }
        let (status, written) = await carillonctl(
            "tail", "--token", "abc", environment: ["EDGE_URL": "http://127.0.0.1:\(edge.port)"])
        #expect(status == 1)
        #expect(written.error.contains("401: The token expired 40 s ago."))
    }

    /// Runs it until one notification has come, which is the last of the scripts' doing.
    private func tail(_ scripts: [String], _ more: String...) async throws -> (status: Int32, written: Written, requests: [String]) {
        let edge = try await ScriptedEdge(scripts)
        defer { edge.loop.stop() }
        let written = Written()
        let status = await Carillonctl.run(
            ["tail", "--token", "abc", "--count", "1"] + more, environment: ["EDGE_URL": "http://127.0.0.1:\(edge.port)"],
            folder: "/proc", terminal: written.terminal)
        return (status, written, edge.requests.withLock { $0 })
    }

    private static let retry = head + "retry: 5\n\n"
    private static let event = head + "id: 1.7-1\ndata: {\"type\":\"a.b\",\"title\":\"One\"}\n\n"

    /// What passes by itself is waited for, whatever the edge says to it.
    @Test(arguments: [
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}", "the edge answered 503"),
        ("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}", "the edge answered 429"),
        ("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", "the edge answered 408"),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "the edge's answer is no event stream"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "the edge's answer is not HTTP"), ("", "the stream ended"),
        (head + "id: 1.7-9\ndata: " + String(repeating: "x", count: EventStreamParser.longestLine), "the stream holds a line of more than"),
    ])
    func whatWillPassIsTriedAgain(_ answer: String, _ words: String) async throws {
        let (status, written, requests) = try await tail([Self.retry, answer, Self.event])
        #expect(status == 0 && written.lines.count == 1)
        #expect(written.error.contains(words), "\(written.error)")
        // Nothing whole has come, so nothing is resumed behind.
        #expect(requests.count == 3 && !requests[2].contains("Last-Event-ID"))
    }

    /// Pauses begin with what the server asked for and double, up to a bound; a stream that stands begins them again.
    @Test func pausesGrowUntilAStreamStands() async throws {
        let connected = Self.head + "retry: 5\nevent: connected\ndata: {}\n\n"
        let (status, written, _) = try await tail(Array(repeating: Self.retry, count: 5) + [connected, Self.retry, Self.event])
        #expect(status == 0)
        let pauses = written.error.split(separator: "\n").compactMap { line in
            line.split(separator: "again in ").dropFirst().first.flatMap { Int($0.split(separator: " ")[0]) }
        }
        let least = [5, 10, 20, 40, 80, 5, 10]
        #expect(pauses.count == least.count, "\(written.error)")
        for (pause, least) in zip(pauses, least) { #expect((least...(least + max(1, least / 4))).contains(pause), "\(pauses)") }
    }

    @Test func whatComesBehindTheLastOneIsNotShown() async throws {
        let two = Self.event + "id: 1.7-2\ndata: {\"type\":\"a.b\",\"title\":\"Two\"}\n\n"
        let (status, written, requests) = try await tail([two])
        #expect(status == 0 && requests.count == 1)
        #expect(written.lines.count == 1 && written.out.contains("One"))
    }

    @Test func whatIsNoNotificationIsShownAsItCame() async throws {
        let (status, written, _) = try await tail([
            Self.head + "event: unread\ndata: {\"unread\":1}\n\nevent: odd\ndata: x\n\ndata: no \u{1b}[2JJSON\n\n"
        ])
        #expect(status == 0)
        #expect(written.out == "no \u{fffd}[2JJSON\n")
    }

    @Test(arguments: [
        (["--count", "none", "--token", "abc"], "http://127.0.0.1:1", Status.usage),
        (["--token", "a b"], "http://127.0.0.1:1", Status.usage),
        (["--token", "abc", "--user", "bob"], "http://127.0.0.1:1", Status.usage),
        (["--token", "abc", "--since", "1.7 0"], "http://127.0.0.1:1", Status.usage),
        (["--token", "abc"], "https://127.0.0.1:1", Status.configuration), (["--user", "bob"], "http://127.0.0.1:1", Status.configuration),
    ])
    func whatCannotBeMeantIsRefusedBeforeAnythingIsAsked(_ words: [String], _ url: String, _ expected: Int32) async {
        let written = Written()
        let status = await Carillonctl.run(["tail"] + words, environment: ["EDGE_URL": url], folder: "/proc", terminal: written.terminal)
        #expect(status == expected, "\(written.error)")
        #expect(written.out.isEmpty && written.error.hasPrefix("carillonctl: tail: "), "\(written.error)")
    }

    @Test func jsonIsPassedOn() async throws {
        let edge = try await ScriptedEdge([Self.head + "id: 1.7-1\ndata: {\"x\":1}\n\n"])
        defer { edge.loop.stop() }
        let (status, written) = await carillonctl(
            "tail", "--token", "abc", "--json", "--count", "1", "--since", "1.7-0",
            environment: ["EDGE_URL": "http://127.0.0.1:\(edge.port)"])
        #expect(status == 0)
        #expect(written.out == "{\"x\":1}\n")
        #expect(edge.requests.withLock { $0[0] }.contains("Last-Event-ID: 1.7-0\r\n"))
    }
}
