internal import EventLoop
internal import Foundation
internal import Network
internal import Settings

/// Follows one person's stream and comes back whenever it breaks.
actor Tail: LoopActor {
    nonisolated let loop: EventLoop
    private let url: ServiceURL
    private let token: @Sendable () throws(ControlError) -> String
    private let limit: Int?
    private let isJSON: Bool
    private let terminal: Terminal

    private var parser: EventStreamParser
    private var attempts = 0
    private var shown = 0
    private var connection: EdgeConnection?
    private var ended: CheckedContinuation<Int32, any Error>?

    /// How long a connection may take, and how long a stream may be silent: a comment comes every 15 s.
    private static let connectTimeout = Duration.seconds(5)
    private static let silence = Duration.seconds(45)
    /// Milliseconds: the first pause where the server named none, and the longest.
    private static let firstPause = 1000
    private static let longestPause = 30_000

    init(
        loop: EventLoop, url: ServiceURL, token: @escaping @Sendable () throws(ControlError) -> String, cursor: String,
        limit: Int?, isJSON: Bool, terminal: Terminal
    ) {
        self.loop = loop
        self.url = url
        self.token = token
        self.limit = limit
        self.isJSON = isJSON
        self.terminal = terminal
        parser = EventStreamParser(lastID: cursor)
    }

    /// Returns once as many notifications as wanted have come; throws if the edge refuses for good.
    func run() async throws -> Int32 {
        try await withCheckedThrowingContinuation { ended in
            self.ended = ended
            connect()
        }
    }

    private func connect() {
        ByteStream.connect(loop: loop, host: url.host, port: url.port, timeout: Self.connectTimeout) { result in
            switch result {
            case .failure(let error): self.comeBack(error.description)
            case .success(let stream): self.open(stream)
            }
        }
    }

    private func open(_ stream: ByteStream) {
        let request: String
        do { request = try head() } catch { return end(.failure(error)) }
        let connection = EdgeConnection(loop: loop, stream: stream, silence: Self.silence)
        self.connection = connection
        parser = EventStreamParser(lastID: parser.lastID)
        connection.onContent = { bytes in self.take(bytes) }
        connection.onClosed = { why in self.comeBack(why) }
        connection.onRefused = { status, text in self.refused(status, text) }
        connection.send(request)
    }

    private func head() throws(ControlError) -> String {
        var lines = [
            "GET \(url.path)/connection/sse HTTP/1.1", "Host: \(url.host):\(url.port)", "Accept: text/event-stream",
            "Authorization: Bearer \(try token())",
        ]
        if !parser.lastID.isEmpty { lines.append("Last-Event-ID: \(parser.lastID)") }
        return lines.joined(separator: "\r\n") + "\r\n\r\n"
    }

    private func take(_ bytes: [UInt8]) {
        do {
            for event in try parser.read(bytes) where ended != nil { show(event) }
        } catch { connection?.close("the stream holds a line of more than \(EventStreamParser.longestLine) bytes") }
    }

    private func show(_ event: StreamedEvent) {
        switch event.name {
        case "connected":
            attempts = 0
            terminal.note("connected to \(url)" + Self.state(event.data))
        case "message":
            let notification = try? JSONDecoder().decode(ShownNotification.self, from: Data(event.data.utf8))
            let line = isJSON ? nil : notification?.line(at: EventLoop.wallClock())
            terminal.line(line ?? printable(event.data))
            shown += 1
            if let limit, shown >= limit { end(.success(Status.done)) }
        default: break
        }
    }

    private static func state(_ data: String) -> String {
        struct Connected: Decodable {
            let recovered: Bool?
            let unread: Int?
        }
        guard let state = try? JSONDecoder().decode(Connected.self, from: Data(data.utf8)) else { return "" }
        return (state.unread.map { ", \($0) unread" } ?? "") + (state.recovered == true ? ", resumed" : "")
    }

    /// 4xx will not pass; anything else may.
    private func refused(_ status: Int, _ text: String) {
        guard (400..<500).contains(status), status != 408, status != 429 else {
            return comeBack("the edge answered \(status)")
        }
        struct Problem: Decodable { let detail: String? }
        let detail = (try? JSONDecoder().decode(Problem.self, from: Data(text.utf8)))?.detail
        end(.failure(ControlError("the edge answered \(status)" + (detail.map { ": " + printable($0) } ?? ""))))
    }

    private func comeBack(_ why: String) {
        connection = nil
        guard ended != nil else { return }
        // The server's pause for the first attempt, doubled from then on, with jitter, so that many do not return as one.
        let base = min((parser.retry ?? Self.firstPause) << min(attempts, 5), Self.longestPause)
        let pause = base + Int.random(in: 0...max(1, base / 4))
        attempts += 1
        terminal.note("\(why); again in \(pause) ms")
        loop.timer(after: .milliseconds(pause)) { if self.ended != nil { self.connect() } }
    }

    private func end(_ result: Result<Int32, any Error>) {
        let ended = ended
        self.ended = nil
        connection?.close("done")
        connection = nil
        ended?.resume(with: result)
    }
}

/// One HTTP/1.1 connection to the edge that carries an event stream. Loop thread only.
final class EdgeConnection: ByteStreamHandler {
    var onContent: (([UInt8]) -> Void)?
    var onRefused: ((_ status: Int, _ text: String) -> Void)?
    /// The last call, unless `onRefused` was.
    var onClosed: ((_ why: String) -> Void)?

    private let stream: ByteStream
    private let loop: EventLoop
    private let silence: Duration
    private var reader = AnswerReader()
    private var refusal: [UInt8] = []
    private var reason: String?
    private var timer: LoopTimer?

    /// Bytes of a refusal that are kept for its words.
    private static let refusalBytes = 16 * 1024

    init(loop: EventLoop, stream: ByteStream, silence: Duration) {
        self.loop = loop
        self.stream = stream
        self.silence = silence
        stream.handler = self
        listen()
        stream.resumeReading()
    }

    func send(_ head: String) { stream.write(Array(head.utf8)) }

    func close(_ why: String) {
        reason = reason ?? why
        timer?.cancel()
        stream.close()
    }

    private func listen() {
        timer?.cancel()
        timer = loop.timer(after: silence) { [weak self] in self?.close("the stream fell silent") }
    }

    func received(_ bytes: Span<UInt8>) {
        listen()
        var copy: [UInt8] = []
        copy.reserveCapacity(bytes.count)
        for index in bytes.indices { copy.append(bytes[index]) }
        do {
            let content = try reader.read(copy)
            guard let status = reader.status else { return }
            if status == 200, reader.contentType.hasPrefix("text/event-stream") {
                if !content.isEmpty { onContent?(content) }
                // The edge's own answers end and leave their connection open: only `retry`, say, while no gateway is there.
                if reader.isComplete { close("the stream ended") }
            } else {
                refusal += content.prefix(Self.refusalBytes - refusal.count)
                let why = status == 200 ? "the edge's answer is no event stream" : "refused"
                // What words a refusal has arrive with its head, or soon after; the connection is of no more use.
                loop.atTurnEnd { [weak self] in self?.close(why) }
            }
        } catch { close("the edge's answer is not HTTP") }
    }

    func drained() {}

    func closed(_ reason: StreamClosure) {
        timer?.cancel()
        let (onClosed, onRefused) = (onClosed, onRefused)
        self.onClosed = nil
        self.onRefused = nil
        onContent = nil
        if let status = reader.status, status != 200 {
            onRefused?(status, String(decoding: refusal, as: UTF8.self))
        } else {
            onClosed?(self.reason ?? "the stream ended: \(reason.reason)")
        }
    }
}
