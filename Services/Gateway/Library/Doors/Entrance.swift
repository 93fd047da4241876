import Centrifuge
import EventLoop
import HTTP
import Models
import Redis
import ServiceRuntime
import Store
import Tokens
import WebSocket

/// The gateway's HTTP paths: who may come in, and by which door. Loop thread only.
final class Entrance {
    let hub: Hub
    /// Nil: nobody may revoke.
    let apiKeys: APIKeyCheck?

    init(hub: Hub, apiKeys: APIKeyCheck?) {
        self.hub = hub
        self.apiKeys = apiKeys
    }

    func serve(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard isOfAllowedOrigin(request, exchange) else { return }
        switch request.path {
        case "/connection/websocket": admit(request, exchange, ["GET"], openWebSocket)
        case "/connection/sse": admit(request, exchange, ["GET"], openEventStream)
        case "/connection/poll": admit(request, exchange, ["GET"], openPoll)
        case "/v1/connect": admit(request, exchange, ["POST"], makeTicket)
        case "/v1/inbox/ack": admit(request, exchange, ["POST"], acknowledge)
        case "/v1/inbox/read": admit(request, exchange, ["POST"], markRead)
        case "/v1/revocations": admit(request, exchange, ["POST"], revoke)
        case "/v1/inbox": admit(request, exchange, ["GET", "HEAD"], readInbox)
        default:
            exchange.respond(.problem(status: 404, name: "not_found", detail: "Nothing is served at this path."))
        }
    }

    /// Who cannot be served now is told before anything is looked at.
    private func admit(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ methods: [String],
        _ body: (HTTPRequest, HTTPExchange) -> Void
    ) {
        guard methods.contains(request.method) else {
            let allowed = methods.joined(separator: ", ")
            if request.method == "OPTIONS" {
                return exchange.respond(
                    hub.origins.preflight(request, hub.origins.verdict(request), methods: allowed + ", OPTIONS"))
            }
            return exchange.respond(
                .problem(
                    status: 405, name: "method_not_allowed", detail: "This path takes \(allowed).",
                    headers: [("Allow", allowed)]))
        }
        if let (why, delay) = hub.refusal(of: request, exchange) {
            return comeBackLater(request, exchange, why, delay: delay)
        }
        body(request, exchange)
    }

    /// An EventSource stops for good at any status but 200, so it gets one, with nothing in it but when to come back.
    func comeBackLater(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ why: RefusalLabel, delay: UInt64? = nil
    ) {
        let why = why == .redis && hub.lease.refusesWrites ? .writes : why
        hub.metrics.refusals[why].increment()
        hub.log.debug("a client is asked to come back", ["reason": .name(why)])
        let delay = delay ?? hub.jitteredRetry()
        var response: HTTPResponse
        if request.path == "/connection/sse" {
            response = HTTPResponse(
                status: 200,
                headers: [
                    ("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"),
                ], body: EventStream.retry(delay))
        } else {
            let problem = why.problem
            response = .problem(
                status: problem.status, name: problem.name, detail: problem.detail,
                headers: [("Retry-After", String((delay + 999) / 1000))])
        }
        // Its descriptor is wanted.
        response.closes = true
        exchange.respond(response)
    }

    // MARK: Who it is

    /// A web page may come from where the operator says; who is no browser names no origin.
    private func isOfAllowedOrigin(_ request: HTTPRequest, _ exchange: HTTPExchange) -> Bool {
        let origin = hub.origins.verdict(request)
        exchange.addedHeaders = hub.origins.headers(origin)
        guard origin == .refused else { return true }
        hub.metrics.refusals[.origin].increment()
        hub.refusals.note(.origin, from: hub.address(request, exchange))
        exchange.respond(OriginPolicy.refusal)
        return false
    }

    enum Credential {
        case bearer(TokenClaims)
        case ticket(String)
        case none
    }

    /// The bearer token's claims, or the name of a ticket. Answers the request itself, and nil, if the token is refused.
    ///
    /// An `Authorization` of another scheme is not ours: it may be for a proxy in front of us, as on a site behind HTTP Basic.
    func credential(_ request: HTTPRequest, _ exchange: HTTPExchange) -> Credential? {
        if let token = bearerToken(of: request) {
            switch hub.claims(token) {
            case .success(let claims): return .bearer(claims)
            case .failure(let error):
                refuse(request, exchange, error)
                return nil
            }
        }
        if let ticket = request.query("ticket"), !ticket.isEmpty { return .ticket(ticket) }
        return Credential.none
    }

    func refuse(_ request: HTTPRequest, _ exchange: HTTPExchange, _ error: TokenError) {
        hub.metrics.refusals[.token].increment()
        hub.refusals.note(error, from: hub.address(request, exchange))
        exchange.respond(tokenProblem(error))
    }

    /// For what is no fault of a token: `detail` says what was wrong.
    func refuse(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ cause: RefusalCause, _ detail: String
    ) {
        hub.metrics.refusals[.token].increment()
        hub.refusals.note(cause, from: hub.address(request, exchange))
        exchange.respond(.unauthorised("token_invalid", detail))
    }

    /// Claims of a bearer token, for the paths that take nothing else.
    func bearer(_ request: HTTPRequest, _ exchange: HTTPExchange) -> TokenClaims? {
        switch credential(request, exchange) {
        case .bearer(let claims)?: return claims
        case .none?, .ticket?:
            refuse(request, exchange, .missing, "This path takes a token as Authorization: Bearer.")
            return nil
        case nil: return nil
        }
    }

    /// The device that the query names, if it is a valid id.
    func device(_ request: HTTPRequest) -> String? {
        request.query("device").flatMap { DeviceID($0)?.text }
    }

    func identity(_ claims: TokenClaims, _ request: HTTPRequest) -> Client.Identity? {
        PersonID(claims.subject).map {
            Client.Identity(claims, $0, device: device(request))
        }
    }

    // MARK: WebSocket

    /// What a client that names its protocols must name one of.
    private static let codecs = ["centrifuge-json": Codec.json, "centrifuge-protobuf": .protobuf]

    /// How a client speaks: as the subprotocol says that was agreed on; without one, as the query says, or in JSON.
    private static func codec(_ request: HTTPRequest, _ opening: WebSocketOpening) -> Codec {
        if let agreed = opening.subprotocol.flatMap({ codecs[$0] }) { return agreed }
        return request.query("cf_protocol") == "protobuf" ? .protobuf : .json
    }

    private func openWebSocket(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        let answer: WebSocketOpening
        switch WebSocketHandshake.answer(request, protocols: Self.codecs.keys.sorted(), deflates: hub.deflate != nil) {
        case .success(let opening): answer = opening
        case .failure(let refusal): return exchange.respond(refusal.response)
        }
        switch credential(request, exchange) {
        case .bearer(let claims)?: upgrade(request, exchange, answer, identity(claims, request))
        case .none?:
            // Its connect command will bring a token; until then only a device may be known.
            upgrade(request, exchange, answer, nil)
        case .ticket(let name)?:
            takeTicket(name, request, exchange) { [self] in upgrade(request, exchange, answer, $0) }
        case nil: break
        }
    }

    private func upgrade(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ answer: WebSocketOpening, _ identity: Client.Identity?
    ) {
        guard let stream = exchange.stream else { return }
        let opened = exchange.began
        let patience = Int(hub.settings.handshakeTimeout / .seconds(1))
        // Looked at early, at a random second, so that pings are spread however clients came.
        let client = hub.insert(firstDue: Int.random(in: 1...max(1, patience))) { name in
            WebSocketClient(
                hub: hub, stream: stream, name: name, openedAt: opened, codec: Self.codec(request, answer),
                isDeflating: answer.isDeflating)
        }
        client.identity = identity
        client.addressKey = exchange.tag ?? 0
        hub.refusals.keep(hub.clientAddress(request, exchange))
        if !exchange.upgrade(answer.head, to: client) { hub.abandon(client) }
    }

    // MARK: Server-sent events

    private static let noSDKTransport = HTTPResponse.problem(
        status: 400, name: "plain_event_source",
        detail: "This path serves a plain EventSource. The Centrifuge SDKs' own transport over SSE (cf_connect) is not spoken: "
            + "let the SDK use /connection/websocket, or open an EventSource.")

    private func openEventStream(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard request.query("cf_connect") == nil else { return exchange.respond(Self.noSDKTransport) }
        // The second name is what other servers of event streams call it.
        let shown = request.header("last-event-id") ?? request.query("last_event_id") ?? request.query("lastEventId")
        switch credential(request, exchange) {
        case .bearer(let claims)?:
            guard let identity = identity(claims, request) else { return }
            unlessRevoked(identity, request, exchange) { [self] in
                stream(request, exchange, identity, shown, key: nil, onBegin: nil)
            }
        case .ticket(let name)?:
            useTicket(name, showing: shown, request, exchange) { [self] ticket in
                unlessRevoked(ticket.identity, request, exchange) { [self] in
                    stream(request, exchange, ticket.identity, shown, key: ticket.key) { [self] client, begin in
                        mark(ticket, client, begin) { _ in }
                    }
                }
            }
        case .none?: refuse(request, exchange, .missing, "There is neither a token nor a ticket.")
        case nil: break
        }
    }

    private func stream(
        _ request: HTTPRequest, _ exchange: HTTPExchange, _ identity: Client.Identity, _ shown: String?,
        key: TagKey?, onBegin: ((EventStreamClient, StreamPosition) -> Void)?
    ) {
        guard let stream = exchange.stream else { return }
        let opening = Opening(at: exchange.began, name: ClientName(request.query("name")))
        let client = hub.insert(firstDue: Int.random(in: 1...max(1, hub.settings.commentSeconds))) { name in
            EventStreamClient(hub: hub, stream: stream, name: name, identity: identity, key: key, onBegin: onBegin)
        }
        client.addressKey = exchange.tag ?? 0
        guard exchange.upgrade(EventStream.head(exchange.addedHeaders), to: client) else { return hub.abandon(client) }
        hub.register(client, from: InboxStart(shown), opening: opening)
    }

    // MARK: REST

    private func readInbox(_ request: HTTPRequest, _ exchange: HTTPExchange) {
        guard let claims = bearer(request, exchange), let person = PersonID(claims.subject) else { return }
        var limit = 100
        if let text = request.query("limit") {
            guard let number = Int(text), (1...1000).contains(number) else {
                return exchange.respond(
                    .problem(status: 400, name: "invalid_limit", detail: "limit is a number from 1 to 1000."))
            }
            limit = number
        }
        let after = request.query("after").flatMap { $0.isEmpty ? nil : $0 }
        let cursor = after.flatMap { Cursor($0) }
        unlessRevoked(claims, person, request, exchange) { [self] in
            readInbox(person, after, cursor, limit, request, exchange)
        }
    }

    private func readInbox(
        _ person: PersonID, _ after: String?, _ cursor: Cursor?, _ limit: Int, _ request: HTTPRequest,
        _ exchange: HTTPExchange
    ) {
        let start: InboxStart = cursor.map { .after($0.position) } ?? .floor
        read(person, start, limit, request, exchange) { [self] page in
            // What it asked to go on from is gone: it gets what there is, and is told that there was more.
            if after != nil, cursor == nil || !page.recovered {
                guard cursor != nil else { return exchange.respond(.json(InboxAnswer.json(page, recovered: false))) }
                return read(person, .floor, limit, request, exchange) {
                    exchange.respond(.json(InboxAnswer.json($0, recovered: false)))
                }
            }
            exchange.respond(.json(InboxAnswer.json(page, recovered: true, after: cursor)))
        }
    }

    private func read(
        _ person: PersonID, _ start: InboxStart, _ limit: Int, _ request: HTTPRequest, _ exchange: HTTPExchange,
        _ body: @escaping (InboxPage) -> Void
    ) {
        hub.inbox.page(of: person, from: start, limit: limit) { [self] result in
            switch result {
            case .success(let page): body(page)
            case .failure: comeBackLater(request, exchange, .redis)
            }
        }
    }
}

extension InboxStart {
    /// Behind the cursor that a client shows; at the present if it shows none, or what is none.
    init(_ shown: String?) { self = shown.flatMap { Cursor($0) }.map { .after($0.position) } ?? .present }
}
