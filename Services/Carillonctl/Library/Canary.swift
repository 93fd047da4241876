internal import EventLoop
internal import Foundation
internal import HTTPClient
internal import Models
internal import Settings

/// Sends one event to one person and waits until it is in her inbox: the whole way, through the edge at both ends.
actor Canary: LoopActor {
    nonisolated let loop: EventLoop
    private let url: ServiceURL
    private let credentials: DoctorCredentials
    private let patience: Duration

    /// How long it may take, and how often the inbox is looked at.
    static let patience = Duration.seconds(15)
    private static let interval = Duration.milliseconds(50)

    init(loop: EventLoop, url: ServiceURL, credentials: DoctorCredentials, patience: Duration = Canary.patience) {
        self.loop = loop
        self.url = url
        self.credentials = credentials
        self.patience = patience
    }

    /// - Parameter type: of the event, as a policy has it.
    func fly(_ type: String) async -> Finding {
        let client = HTTPClient(loop: loop)
        defer { client.close() }
        let name = "event to inbox"
        let mark = UUID().uuidString.lowercased()
        do {
            let cursor = try await inbox(client, after: nil).cursor
            let began = loop.now
            try await send(client, type, mark)
            // At least once, however long it took until the event was accepted.
            repeat {
                let inbox = try await inbox(client, after: cursor)
                if inbox.text.contains(mark) {
                    try await read(client, upTo: inbox.cursor)
                    return .ok(name, "a \(type) arrived after \(loop.now - began) ms")
                }
                await withCheckedContinuation { done in loop.timer(after: Self.interval) { done.resume() } }
            } while loop.now - began < UInt64(patience / .milliseconds(1))
            return .fail(
                name, "a \(type) was accepted, and is not in the inbox after \(patience.components.seconds) s",
                "look at the lag of carillon-notification-service and carillon-fanout-worker, and at carillonctl dlq list")
        } catch {
            return .fail(name, error.text, "read the log of that service")
        }
    }

    private struct InboxResponse {
        let cursor: String
        let text: String
    }

    private var bearer: (name: String, value: String) { ("authorization", "Bearer " + (credentials.token ?? "")) }

    private func inbox(_ client: HTTPClient, after cursor: String?) async throws(ControlError) -> InboxResponse {
        struct Answer: Decodable { let cursor: String }
        let after = cursor.map { "&after=\($0)" } ?? ""
        let body = try await answer(client, "GET", "/v1/inbox?limit=1000\(after)", [bearer])
        let decoded = try? JSONDecoder().decode(Answer.self, from: Data(body))
        return InboxResponse(cursor: decoded?.cursor ?? cursor ?? "", text: String(decoding: body, as: UTF8.self))
    }

    private func send(_ client: HTTPClient, _ type: String, _ mark: String) async throws(ControlError) {
        var draft = EventDraft(
            id: mark, source: "carillonctl doctor", type: type, time: EventLoop.wallClock(), recipients: .user(DoctorCredentials.person))
        draft.texts = [("title", "carillonctl doctor \(mark)")]
        draft.ttlSeconds = 3_600
        _ = try await answer(
            client, "POST", "/v1/events",
            [("x-api-key", credentials.key ?? ""), ("content-type", "application/cloudevents+json")], draft.encoded())
    }

    private func read(_ client: HTTPClient, upTo cursor: String) async throws(ControlError) {
        var writer = JSONWriter(capacity: 64)
        writer.raw(#"{"cursor":"#)
        writer.string(cursor)
        writer.raw("}")
        _ = try await answer(client, "POST", "/v1/inbox/read", [bearer, ("content-type", "application/json")], writer.take())
    }

    private func answer(
        _ client: HTTPClient, _ method: String, _ path: String, _ headers: [(name: String, value: String)], _ body: [UInt8] = []
    ) async throws(ControlError) -> [UInt8] {
        let request = HTTPClientRequest(method: method, url: url.description + path, headers: headers, body: body, timeout: .seconds(15))
        let what = "\(method) \(path.prefix { $0 != "?" })"
        switch await ask(client, request) {
        case .success(let answer) where (200..<300).contains(answer.status): return answer.body
        case .success(let answer): throw ControlError("\(what) answered \(answer.status): \(problem(answer))")
        case .failure(let error): throw ControlError("\(what): \(error)")
        }
    }
}
