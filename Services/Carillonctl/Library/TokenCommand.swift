internal import EventLoop
internal import Models
internal import Settings
internal import Tokens

let tokenCommand = Command(
    "token", summary: "Mint a development token for a person",
    details: """
        Prints one JWT (HS256), signed with TOKEN_SECRET. Whoever holds it is that person until it expires.
        """,
    options: [
        Option("user", "PERSON", "whose token it is (needed)"),
        Option("expires", "DURATION", "how long it holds: 30s, 15m, 12h (default 1h; services take TOKEN_MAX_LIFETIME at most)"),
        Option("device", "DEVICE", "the device that it is bound to"),
        Option("jti", "ID", "its name, by which it can be revoked"),
        Option("channels", "A,B", "channels that it lets the person watch"),
    ]
) { invocation in
    let options = invocation.options
    let text = try mintToken(
        person: try options.required("user"), expires: options["expires"] ?? "1h", device: options["device"],
        id: options["jti"], channels: options["channels"].map(listed) ?? [],
        settings: invocation.settings)
    invocation.terminal.line(text)
    let longest = try invocation.settings.optional(Common.tokenMaxLifetime) ?? .seconds(86_400)
    if try seconds(options["expires"] ?? "1h", option: "expires") > longest.components.seconds {
        invocation.terminal.note("it holds for longer than TOKEN_MAX_LIFETIME, so services will refuse it")
    }
    return Status.done
}

/// A token as the services' own issuer would make it. `expires` is written as a setting's duration.
func mintToken(
    person: String, expires: String, device: String? = nil, id: String? = nil, channels: [String] = [],
    settings: ControlSettings
) throws(ControlError) -> String {
    guard let person = PersonID(person) else {
        throw .usage("--user is 1 to 128 bytes without control characters, { and }")
    }
    if let device, DeviceID(device) == nil {
        throw .usage("--device is 1 to 128 bytes without control characters, { and }")
    }
    guard channels.allSatisfy({ ChannelID($0) != nil }) else {
        throw .usage("each of --channels is 1 to 128 bytes without control characters, { and }")
    }
    if let id, !(1...255).contains(id.utf8.count) { throw .usage("--jti is 1 to 255 bytes") }
    let length = try seconds(expires, option: "expires")
    let now = EventLoop.wallClock() / 1000
    let claims = TokenClaims(
        subject: person.text, expires: now + length, issuedAt: now, channels: channels, device: device, id: id)
    return mintHS256(
        claims, secret: try settings.tokenSecret(), issuer: try settings.optional(Common.tokenIssuer),
        audience: try settings.optional(Common.tokenAudience))
}

/// Whole seconds of a duration that stands behind an option.
func seconds(_ text: String, option: String) throws(ControlError) -> Int64 {
    let setting = Setting("--\(option)", .duration(.seconds(1) ... .seconds(3650 * 86400)), help: "")
    do {
        return try Environment(["--\(option)": text]).value(setting).components.seconds
    } catch { throw .usage(error.description) }
}
