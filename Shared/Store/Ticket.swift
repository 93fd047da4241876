public import Models
public import Tokens

/// What a ticket stands for: a token that was checked when the ticket was made.
public struct Ticket: Equatable, Sendable {
    public var person: PersonID
    /// The token's `exp`, in seconds since 1970.
    public var expires: Int64
    public var channels: [String]
    /// The token's `info`: JSON, as the token has it.
    public var info: [UInt8]?
    public var device: String?
    /// The token's `jti` and `iat`, as revocations know them; 0 if it has none.
    public var token: UInt64
    public var issued: Int64
    /// Tags the cursors of a stream that the ticket opens. It is never in a URL. Nil if a gateway of the previous version has
    /// made or used the ticket.
    public var key: TagKey?
    /// Until when a repetition may count as the first use, in ms since 1970. Nil if `key` is.
    public var freshUntil: Int64?
    /// The newest cursor that its reader has shown. Before that, where its first use began. Nil before the first use.
    public var start: StreamPosition?
    /// A cursor with a tag of this ticket has been shown: somebody has read the stream that it opened.
    public var isShown: Bool
    /// The connection of the latest use, as `ConnectionID` writes it.
    public var connection: String?

    public init(
        person: PersonID, expires: Int64, channels: [String] = [], info: [UInt8]? = nil, device: String? = nil,
        token: UInt64 = 0, issued: Int64 = 0, key: TagKey? = nil, freshUntil: Int64? = nil, start: StreamPosition? = nil,
        isShown: Bool = false, connection: String? = nil
    ) {
        self.person = person
        self.expires = expires
        self.channels = channels
        self.info = info
        self.device = device
        self.token = token
        self.issued = issued
        self.key = key
        self.freshUntil = freshUntil
        self.start = start
        self.isShown = isShown
        self.connection = connection
    }
}

/// What somebody who brings a ticket's name may do with it.
public enum TicketUse: Equatable, Sendable {
    /// Begin. Nobody has shown yet to have read the stream that the ticket opened.
    case first
    /// Go on. The reader shows a cursor that nobody else has seen.
    case again(StreamPosition)
}

extension Ticket {
    /// How a client that shows `cursor` may use the ticket at `now` (ms since 1970). Nil: it may not.
    ///
    /// If the answer to a first use is lost on its way, the client repeats the request without a cursor. So repetitions count
    /// as the first use while the ticket is fresh, until a tag is shown.
    public func use(showing cursor: String?, at now: Int64) -> TicketUse? {
        let position = cursor.flatMap { Cursor($0)?.position }
        if let cursor, let position, let key, key.confirms(cursor), !isBehind(position) { return .again(position) }
        guard let start else { return .first }
        if isShown { return nil }
        if let freshUntil { return now < freshUntil ? .first : nil }
        // The previous version gave out cursors without a tag. They are accepted until a cursor with a tag is shown.
        guard let position, position.epoch == start.epoch, position.offset >= start.offset else { return nil }
        return .first
    }

    /// Whether the reader has gone on since it had this position. A cursor of that position may come from a log of URLs.
    private func isBehind(_ position: StreamPosition) -> Bool {
        guard let start else { return false }
        return position.epoch == start.epoch && position.offset < start.offset
    }

    /// The ticket after a use that began at `begin`.
    public func used(_ use: TicketUse, from begin: StreamPosition, connection: String) -> Ticket {
        var used = self
        used.connection = connection
        switch use {
        case .again(let shown):
            used.start = shown
            used.isShown = true
        case .first:
            // If there are several first uses, any of them may be the reader's.
            if let start, start.epoch == begin.epoch, start.offset <= begin.offset { break }
            used.start = begin
        }
        return used
    }
}

extension Ticket {
    func encoded() -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.raw(#"{"person":"#)
        writer.string(person.text)
        writer.raw(#","exp":"#)
        writer.integer(expires)
        writer.raw(#","channels":["#)
        for (index, channel) in channels.enumerated() {
            if index > 0 { writer.raw(",") }
            writer.string(channel)
        }
        writer.raw("]")
        if let info {
            writer.raw(#","info":"#)
            writer.raw(info)
        }
        if let device {
            writer.raw(#","device":"#)
            writer.string(device)
        }
        if token != 0 { writer.raw(#","jti":""# + digits(of: token) + "\"") }
        if issued != 0 {
            writer.raw(#","iat":"#)
            writer.integer(issued)
        }
        if let key { writer.raw(#","key":""# + key.text + "\"") }
        if let freshUntil {
            writer.raw(#","fresh":"#)
            writer.integer(freshUntil)
        }
        if let start {
            writer.raw(#","start":""# + start.description + "\"")
        }
        if isShown { writer.raw(#","shown":true"#) }
        if let connection {
            writer.raw(#","connection":"#)
            writer.string(connection)
        }
        writer.raw("}")
        return writer.take()
    }

    /// Nil if the bytes are no ticket.
    init?(_ bytes: Span<UInt8>) {
        do throws(JSONError) {
            guard let ticket = try Self.read(bytes) else { return nil }
            self = ticket
        } catch {
            return nil
        }
    }

    private static func read(_ bytes: Span<UInt8>) throws(JSONError) -> Ticket? {
        var at = 0
        var person: PersonID?
        var expires: Int64?
        var (device, connection, start, key): (String?, String?, String?, String?)
        var freshUntil: Int64?
        var isShown = false
        var info: [UInt8]?
        var channels: [String] = []
        var (token, issued): (UInt64, Int64) = (0, 0)
        var members = try JSONMembers(bytes, &at)
        while let name = try members.next(bytes, &at) {
            switch JSON.text(bytes, name) {
            case "person": person = PersonID(JSON.text(bytes, try JSON.string(bytes, &at)))
            case "exp": expires = try JSON.integer(bytes, &at)
            case "device": device = JSON.text(bytes, try JSON.string(bytes, &at))
            case "connection": connection = JSON.text(bytes, try JSON.string(bytes, &at))
            case "jti": token = number(ofDigits: JSON.text(bytes, try JSON.string(bytes, &at))) ?? 0
            case "iat": issued = try JSON.integer(bytes, &at)
            case "key": key = JSON.text(bytes, try JSON.string(bytes, &at))
            case "fresh": freshUntil = try JSON.integer(bytes, &at)
            case "start": start = JSON.text(bytes, try JSON.string(bytes, &at))
            case "shown": isShown = try JSON.bool(bytes, &at)
            case "info": info = try JSON.value(bytes, &at).map { bytes[$0] }
            case "channels":
                var elements = try JSONElements(bytes, &at)
                while try elements.next(bytes, &at) { channels.append(JSON.text(bytes, try JSON.string(bytes, &at))) }
            default: _ = try JSON.value(bytes, &at)
            }
        }
        guard let person, let expires else { return nil }
        return Ticket(
            person: person, expires: expires, channels: channels, info: info, device: device,
            token: token, issued: issued, key: key.flatMap { TagKey(text: $0) }, freshUntil: freshUntil,
            start: start.flatMap { StreamPosition($0) }, isShown: isShown, connection: connection)
    }
}
