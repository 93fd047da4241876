internal import EventLoop
internal import Foundation
internal import Models
internal import Settings

let tailCommand = Command(
    "tail", summary: "Show what arrives for a person, live",
    details: """
        Connects to the edge (EDGE_URL) as a client would, over server-sent events, and prints one line a notification. When the
        connection breaks it comes back and resumes at the last cursor, so that nothing is missed. Ctrl-C ends it.
        """,
    options: [
        Option("user", "PERSON", "whose stream (needed, unless --token)"),
        Option("token", "TOKEN", "a token of hers, instead of one minted with TOKEN_SECRET"),
        Option("device", "DEVICE", "the device to be"),
        Option("since", "CURSOR", "resume here instead of beginning with what is new"),
        Option("count", "N", "end after so many notifications"),
        Option("json", nil, "print each notification's JSON as it came"),
    ]
) { invocation in
    let options = invocation.options
    let settings = invocation.settings
    let url = try settings.value(ControlSettings.edgeURL)
    guard url.scheme == "http" else { throw ControlError("tail speaks plain http, and EDGE_URL is \(url)", status: Status.configuration) }
    let limit = try options.count("count")
    let token: @Sendable () throws(ControlError) -> String
    if let given = options["token"] {
        guard options["user"] == nil, given.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw ControlError.usage("--token is one word, and stands instead of --user")
        }
        token = { () throws(ControlError) in given }
    } else {
        let person = try options.required("user")
        let device = options["device"]
        // A new one for each connection, since a stream may outlive a token.
        token = { () throws(ControlError) in
            try mintToken(person: person, expires: "1h", device: device, settings: settings)
        }
        _ = try token()
    }
    if let since = options["since"], since.isEmpty || !since.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) {
        throw ControlError.usage("--since is a cursor, 1.<epoch>-<offset>")
    }
    let loop = EventLoop(name: "carillonctl")
    loop.start()
    let tail = Tail(
        loop: loop, url: url, token: token, cursor: options["since"] ?? "", limit: limit,
        isJSON: options.has("json"), terminal: invocation.terminal)
    return try await tail.run()
}

/// A notification, as far as its line needs it.
struct ShownNotification: Decodable {
    let type: String?
    let title: String?
    let body: String?
    let priority: String?

    /// `12:30:05  message.direct  Title: text`.
    func line(at moment: Int64) -> String {
        let text = [title, body].compactMap(\.self).filter { !$0.isEmpty }.joined(separator: ": ")
        let urgency = priority == "high" ? "  !" : ""
        return "\(Timestamp.text(moment).dropFirst(11).prefix(8))  \(printable(type ?? "-"))\(urgency)  \(printable(text))"
    }
}
