import HTTP
import Models
import Settings
import Store
import Tokens

/// The URLs that a ticket is good for, as `/v1/connect` answers them.
struct TicketURLs {
    private let web: String
    private let socket: String
    private let query: String

    /// The host is the one that the client asked, unless the operator names another.
    init(
        _ request: HTTPRequest, _ publicURL: ServiceURL?, _ ticket: String, _ person: PersonID, speaksTLS: Bool = false
    ) {
        let isSecure: Bool
        let place: String
        if let publicURL {
            isSecure = publicURL.scheme == "https"
            let isDefault = publicURL.port == (isSecure ? 443 : 80)
            let host = publicURL.host.contains(":") ? "[\(publicURL.host)]" : publicURL.host
            let path = publicURL.path.hasSuffix("/") ? String(publicURL.path.dropLast()) : publicURL.path
            place = host + (isDefault ? "" : ":\(publicURL.port)") + path
        } else {
            isSecure = speaksTLS || ["https", "wss"].contains(request.tokens("x-forwarded-proto").first)
            place = request.header("host") ?? "localhost"
        }
        web = (isSecure ? "https://" : "http://") + place
        socket = (isSecure ? "wss://" : "ws://") + place
        // Where the edge places the person; only a hash of her, for URLs end up in logs.
        let hint = base64url(Array(sha256(Array(person.text.utf8)).prefix(8)))
        query = "?ticket=\(ticket)&u=\(hint)"
    }

    func json() -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        writer.raw(#"{"ticket":"#)
        writer.string(String(query.dropFirst(8).prefix { $0 != "&" }))
        writer.raw(#","websocket":"#)
        writer.string("\(socket)/connection/websocket\(query)")
        writer.raw(#","sse":"#)
        writer.string("\(web)/connection/sse\(query)")
        writer.raw(#","poll":"#)
        writer.string("\(web)/connection/poll\(query)")
        writer.raw(#","retry":1000}"#)
        return writer.take()
    }
}

/// The answer of `/v1/inbox`.
enum InboxAnswer {
    /// Notifications are spliced in as they are stored. `after`: the cursor to go on from where the page is empty.
    static func json(_ page: InboxPage, recovered: Bool, after: Cursor? = nil) -> [UInt8] {
        var writer = JSONWriter(capacity: 256 + page.entries.reduce(0) { $0 + $1.bytes.count + 1 })
        writer.raw(#"{"notifications":["#)
        for (index, entry) in page.entries.enumerated() {
            if index > 0 { writer.byte(UInt8(ascii: ",")) }
            writer.raw(entry.bytes)
        }
        let last = page.entries.last.map { Cursor(StreamPosition(epoch: page.state.epoch, offset: $0.offset)) }
        let cursor = last ?? after ?? Cursor(page.state.position)
        writer.raw(#"],"cursor":"#)
        writer.string(cursor.description)
        writer.raw(#","unread":"#)
        writer.integer(Int64(page.state.unread))
        writer.raw(#","recovered":"#)
        writer.bool(recovered)
        writer.raw("}")
        return writer.take()
    }
}

extension HTTPResponse {
    /// 401, with the problem's name and what is wrong with what the request brought.
    static func unauthorised(_ name: String, _ detail: String) -> HTTPResponse {
        .problem(status: 401, name: name, detail: detail, headers: [("WWW-Authenticate", "Bearer")])
    }
}
