internal import EventLoop
internal import Foundation
internal import HTTPClient
internal import Models
internal import Settings

let revokeCommand = Command(
    "revoke", summary: "Revoke a token, or all tokens of a person, and close what they opened",
    details: """
        Asks a gateway behind the edge (EDGE_URL) with API_KEY. Whoever holds such a token is disconnected everywhere within a
        second and cannot come back with it.
        """,
    options: [
        Option("user", "PERSON", "all of hers that were issued up to now"),
        Option("before", "SECONDS", "with --user: those issued before this time, in seconds since 1970"),
        Option("jti", "ID", "the one token of this jti"),
        Option("expires", "SECONDS", "with --jti: the token's exp, until which the revocation is remembered"),
    ]
) { invocation in
    let body = try revocationBody(invocation.options)
    let settings = invocation.settings
    let url = try settings.value(ControlSettings.edgeURL)
    guard let key = try settings.optional(Common.apiKey) else {
        throw ControlError(
            "API_KEY is not set, and only who has it may revoke",
            remedy: "set it to the services' own, or run this beside the .local folder that `make run` writes",
            status: Status.configuration)
    }
    let loop = EventLoop(name: "carillonctl")
    loop.start()
    let answer = try await Revoker(loop: loop).post(body, to: url.description, key: key)
    invocation.terminal.line("revoked: \(answer.heard) of \(answer.gateways) gateways were told at once")
    return Status.done
}

/// The request's body, as the options say.
func revocationBody(_ options: Options) throws(ControlError) -> [UInt8] {
    func time(_ name: String) throws(ControlError) -> Int64? {
        guard let text = options[name] else { return nil }
        guard let seconds = Int64(text), seconds >= 0 else { throw .usage("--\(name) is a number of seconds since 1970") }
        return seconds
    }
    let (before, expires) = (try time("before"), try time("expires"))
    var writer = JSONWriter(capacity: 128)
    switch (options["user"], options["jti"]) {
    case (let user?, nil):
        guard expires == nil else { throw .usage("--expires stands with --jti") }
        guard let person = PersonID(user) else {
            throw .usage("--user is 1 to 128 bytes without control characters, { and }")
        }
        writer.raw(#"{"person":"#)
        writer.string(person.text)
        if let before { writer.raw(#","before":\#(before)"#) }
    case (nil, let id?):
        guard before == nil else { throw .usage("--before stands with --user") }
        guard (1...255).contains(id.utf8.count) else { throw .usage("--jti is 1 to 255 bytes") }
        writer.raw(#"{"jti":"#)
        writer.string(id)
        if let expires { writer.raw(#","expires":\#(expires)"#) }
    default: throw .usage("one of --user and --jti is needed")
    }
    writer.raw("}")
    return writer.take()
}

/// One request to the edge.
private actor Revoker: LoopActor {
    nonisolated let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    struct Answer: Decodable {
        let gateways: Int
        let heard: Int
    }

    private struct Problem: Decodable { let detail: String? }

    func post(_ body: [UInt8], to url: String, key: String) async throws -> Answer {
        let client = HTTPClient(loop: loop)
        defer { client.close() }
        let request = HTTPClientRequest(
            method: "POST", url: url + "/v1/revocations",
            headers: [(name: "x-api-key", value: key), (name: "content-type", value: "application/json")], body: body,
            timeout: .seconds(10))
        let result = await withCheckedContinuation { done in client.send(request) { done.resume(returning: $0) } }
        switch result {
        case .success(let response) where response.status == 200:
            return try JSONDecoder().decode(Answer.self, from: Data(response.body))
        case .success(let response):
            let detail = (try? JSONDecoder().decode(Problem.self, from: Data(response.body)))?.detail
            throw ControlError("the gateway answered \(response.status): \(printable(detail ?? "nothing more"))")
        case .failure(let error):
            throw ControlError("\(url): \(error)", remedy: "start it, or set EDGE_URL; what was revoked may be revoked again")
        }
    }
}
