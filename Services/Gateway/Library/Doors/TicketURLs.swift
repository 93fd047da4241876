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

    /// The host is the one that the client has asked, unless the operator names another.
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
        // The edge places the person by this. It is only a hash, because URLs are written to logs.
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
